/** Read models, past the gateway: how far each has come, and what grows beside it. */
import { Clock, Effect, Option, Stream } from "effect"
import { EventLog } from "../../../domain/ports/event-log.ts"
import { projections as known } from "../../../projections/all.ts"
import { type GenerationState, ProjectionStates } from "../../../projections/projection-states.ts"
import { commandFailed } from "../command-failed.ts"
import { moment } from "../moments.ts"
import { answer } from "../output.ts"
import { backends } from "../past-the-gateway.ts"
import { count } from "../progress.ts"
import { table } from "../table.ts"
import { bytes, span } from "../units.ts"

interface PlaceOf {
  readonly stream: string
  readonly position: number
  readonly head: number
  readonly behind: number
  /** How old the first entry is that it has not taken in. */
  readonly lag_seconds: number
}

export const projections = Effect.fn("projections")(function*() {
  const now = yield* Clock.currentTimeMillis
  const views = yield* Effect.gen(function*() {
    const states = yield* (yield* ProjectionStates).all
    const missing = [...known.keys()].filter((name) => !states.some(({ generation, projection }) => generation === "live" && projection === name))
    const built = yield* Effect.forEach(states, (state) => Effect.map(places(state.positions, now), (streams) => viewOf(state, streams)))
    return [...built, ...missing.map(absent)]
  }).pipe(Effect.provide(yield* backends("projections")), Effect.mapError(({ message }) => commandFailed("unreachable", message)))
  yield* answer(views, (output) => table<View>(output, [
    { title: "READ MODEL", of: ({ projection }) => projection },
    { title: "TABLE", of: ({ generation }) => generation },
    { title: "VERSION", of: ({ version, wanted }) => wanted === undefined || version === wanted ? String(version) : `${version}, wanted ${wanted}` },
    { title: "STREAM", of: ({ streams }) => streams.length === 1 ? streams[0]!.stream : String(streams.length), right: true },
    { title: "POSITION", of: ({ streams }) => streams.map(({ position }) => String(position)).join(" ") },
    { title: "HEAD", of: ({ streams }) => streams.map(({ head }) => String(head)).join(" ") },
    { title: "LAG", of: ({ streams }) => span(1000 * Math.max(0, ...streams.map(({ lag_seconds }) => lag_seconds))), right: true },
    { title: "PARKED", of: ({ parked }) => String(parked), right: true },
    { title: "ROWS", of: ({ rows }) => `~${count(rows)}`, right: true },
    { title: "SIZE", of: (view) => bytes(view.bytes), right: true },
    { title: "BUILT", of: ({ built_at }) => moment(built_at, output.utc), shrinks: true }
  ], views))
})

const places = Effect.fnUntraced(function*(positions: ReadonlyMap<string, number>, now: number) {
  const log = yield* EventLog
  return yield* Effect.forEach(log.streams, Effect.fnUntraced(function*(stream) {
    const [position, head] = [positions.get(stream) ?? 0, yield* log.head(stream)]
    const next = position >= head ? Option.none() : yield* Stream.runHead(log.scan(stream, { after: position, upTo: position + 1 }))
    const since = Option.isSome(next) && next.value._tag === "Recorded" ? next.value.at : now
    return { stream, position, head, behind: Math.max(0, head - position), lag_seconds: Math.max(0, now - since) / 1000 } satisfies PlaceOf
  }))
})

const viewOf = ({ builtAt, bytes, generation, parked, projection, rows, version }: GenerationState, streams: ReadonlyArray<PlaceOf>) => ({
  projection, generation: generation as string, version, wanted: known.get(projection)?.version, streams, parked, rows, bytes, built_at: new Date(builtAt).toISOString() as string | undefined
})
type View = ReturnType<typeof viewOf>

/** The projector has not been here since this read model was invented. */
const absent = (projection: string): View =>
  ({ projection, generation: "none", version: 0, wanted: known.get(projection)?.version, streams: [], parked: 0, rows: 0, bytes: 0, built_at: undefined })
