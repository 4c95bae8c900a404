/** Rebuilds a read model from the log, beside the live one, while readers are served. */
import { Effect } from "effect"
import { projections } from "../../projections/all.ts"
import { rebuild } from "../projector/rebuild.ts"
import { Adapters } from "./adapters.ts"
import { commandFailed } from "./command-failed.ts"
import { localEndpoint } from "./endpoint.ts"
import { answer, Output } from "./output.ts"
import { span } from "./units.ts"

export interface ReplayInput {
  readonly projection: string
}

export const replay = Effect.fn("replay")(function*({ projection: name }: ReplayInput) {
  const projection = projections.get(name)
  if (projection === undefined) {
    return yield* commandFailed("invalid", `There is no projection ${name}; there is ${[...projections.keys()].join(", ")}`)
  }
  const local = yield* localEndpoint
  const nats = process.env["KILN_NATS_CORE_URL"] ?? local?.nats
  const postgres = process.env["KILN_POSTGRES_URL"] ?? local?.postgres
  if (nats === undefined || postgres === undefined) {
    return yield* commandFailed("unreachable",
      "Replay reads the log itself: run it where npm start runs, or set KILN_NATS_CORE_URL and KILN_POSTGRES_URL")
  }
  const { backends } = yield* Adapters
  const { json, terminal, writeError } = yield* Output
  const begun = performance.now()
  const rate = (entries: number) => Math.round(entries / Math.max(0.001, (performance.now() - begun) / 1000))
  let entries = 0
  let shownAt = 0
  const show = ({ position, head }: { readonly position: number; readonly head: number }) =>
    Effect.sync(() => {
      entries = Math.max(entries, position)
      if (json || performance.now() - shownAt < 200) return
      shownAt = performance.now()
      const percent = Math.floor((100 * position) / Math.max(1, head))
      const line = `${name}: ${percent} % · ${count(position)} of ${count(head)} entries · ${count(rate(position))} a second`
      writeError(terminal ? `\r\u001b[K${line}` : `${line}\n`)
    })
  yield* rebuild(projection, show).pipe(
    Effect.provide(backends({ nats, postgres, partitions: Number(process.env["KILN_PARTITIONS"] ?? 1) })),
    Effect.mapError(({ message }) => commandFailed("unreachable", `The replay stopped: ${message}; start it again and it goes on from there`))
  )
  if (terminal && !json && shownAt > 0) writeError("\r\u001b[K")
  const seconds = (performance.now() - begun) / 1000
  yield* answer({ projection: name, entries, seconds: Math.round(seconds * 1000) / 1000 }, () => [
    `The read model ${name} was rebuilt from ${count(entries)} entries in ${span(performance.now() - begun)} and swapped in`
  ])
})

const count = (value: number) => value.toLocaleString("en")
