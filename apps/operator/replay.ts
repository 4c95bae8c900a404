/** Rebuilds read models from the log, beside the live ones, while readers are served. */
import { Clock, Effect, Option } from "effect"
import { EventLog } from "../../domain/ports/event-log.ts"
import { type Part, ProjectionStore } from "../../projections/projection-store.ts"
import { rebuild } from "../projector/rebuild.ts"
import { rebuildPast, rebuildTenant } from "../projector/replay-part.ts"
import { CommandFailed, commandFailed } from "./command-failed.ts"
import { beginningAt, placeIn } from "./log-place.ts"
import { readMoment } from "./moments.ts"
import { onRecordHere, tenantNamed } from "./on-record-here.ts"
import { answer, Output } from "./output.ts"
import { backends, projectionNamed } from "./past-the-gateway.ts"
import { count, progressOf } from "./progress.ts"
import { readTime } from "./read-time.ts"
import { span } from "./units.ts"

export interface ReplayInput {
  readonly projection: string
  readonly tenant: Option.Option<string>
  readonly from: Option.Option<string>
  readonly until: Option.Option<string>
}

export const replay = Effect.fn("replay")(function*(input: ReplayInput) {
  const projection = yield* projectionNamed(input.projection)
  const tenantId = Option.isNone(input.tenant) ? undefined : yield* tenantNamed("--tenant", input.tenant.value)
  const until = yield* readTime("--until", input.until)
  if (until !== undefined && Option.isSome(input.from)) return yield* commandFailed("invalid", "--from and --until do not go together: the past is built from its beginning")
  const from = yield* steadyPlace(input.from)
  const reach = yield* backends("replay")
  const progress = progressOf(yield* Output, projection.name)

  // The one of before goes for it.
  const past = (until: string) => onRecordHere({ operation: "replay", on: `${projection.name} until ${until}`, result: ({ words }) => words }, Effect.gen(function*() {
    yield* rebuildPast(projection, Date.parse(until), tenantId, progress.show)
    return { words: `as of ${until} stands beside the live one as kiln.${projection.name}__past`, table: `kiln.${projection.name}__past` }
  }), tenantId)
  const anew = (part: Part | undefined) => onRecordHere({
    operation: "replay", on: [projection.name, ...part === undefined ? [] : [part.name]].join(" "), result: ({ words }) => words
  }, Effect.gen(function*() {
    if (tenantId === undefined) yield* rebuild(projection, progress.show, part)
    else yield* rebuildTenant(projection, { name: "", ...part, tenantId }, progress.show)
    const parked = (yield* (yield* ProjectionStore).parked(projection)).length
    const what = tenantId === undefined ? "was rebuilt and swapped in" : `has the rows of ${tenantId} built anew`
    return { words: `${what}, from ${count(progress.entries())} entries${parked === 0 ? "" : `; ${count(parked)} of its aggregates are parked`}`, parked }
  }), tenantId)
  const run = Effect.gen(function*() {
    if (until === undefined) return yield* anew(yield* partOf(tenantId, from))
    return yield* past(until)
  })

  const again = from !== Option.getOrUndefined(input.from) ? ` with --from ${from}` : until !== Option.getOrUndefined(input.until) ? ` with --until ${until}` : ""
  const { words, ...result } = yield* run.pipe(
    Effect.provide(reach),
    Effect.mapError((error) => error instanceof CommandFailed ? error
      : commandFailed("unreachable", `The replay stopped: ${error.message}; start it again${again} and it goes on from there`))
  )
  yield* progress.clear
  yield* answer({ projection: projection.name, entries: progress.entries(), seconds: progress.seconds(), ...result },
    () => [`The read model ${projection.name} ${words}, in ${span(progress.seconds() * 1000)}`])
})

/** A time that is so long ago is another one a minute later. */
const steadyPlace = Effect.fnUntraced(function*(from: Option.Option<string>) {
  if (Option.isNone(from) || placeIn(from.value) !== undefined) return Option.getOrUndefined(from)
  return readMoment(from.value, yield* Clock.currentTimeMillis) ?? from.value
})

const partOf = Effect.fnUntraced(function*(tenantId: string | undefined, from: string | undefined) {
  const words = [...tenantId === undefined ? [] : [`of ${tenantId}`], ...from === undefined ? [] : [`from ${from}`]]
  if (words.length === 0) return undefined
  const name = words.join(" ")
  if (from === undefined) return { name } satisfies Part as Part
  const places = new Map<string, number>()
  const beginning = yield* beginningAt(Option.some(from))
  for (const stream of (yield* EventLog).streams) {
    const after = yield* beginning(stream)
    if (after !== undefined) places.set(stream, after)
  }
  return { name, from: places } satisfies Part as Part
})
