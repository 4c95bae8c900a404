/** Rebuilds read models from the log, beside the live ones, while readers are served. */
import { Effect, Option } from "effect"
import { rebuild } from "../projector/rebuild.ts"
import { rebuildPast, rebuildTenant, refoldFrom } from "../projector/replay-part.ts"
import { commandFailed } from "./command-failed.ts"
import { onRecordHere, tenantNamed } from "./on-record-here.ts"
import { answer, Output } from "./output.ts"
import { backends, projectionNamed } from "./past-the-gateway.ts"
import { count, progressOf } from "./progress.ts"
import { readTime } from "./read-time.ts"
import { span } from "./units.ts"

export interface ReplayInput {
  readonly projection: string
  readonly tenant: Option.Option<string>
  readonly from: Option.Option<number>
  readonly until: Option.Option<string>
}

export const replay = Effect.fn("replay")(function*(input: ReplayInput) {
  const projection = yield* projectionNamed(input.projection)
  const tenant = Option.isNone(input.tenant) ? undefined : yield* tenantNamed("--tenant", input.tenant.value)
  const until = yield* readTime("--until", input.until)
  if (until !== undefined && Option.isSome(input.from)) return yield* commandFailed("invalid", "--from and --until do not go together: the past is built from its beginning")
  const reach = yield* backends("replay")
  const progress = progressOf(yield* Output, projection.name)
  const run = Effect.gen(function*() {
    if (until !== undefined) {
      yield* rebuildPast(projection, Date.parse(until), tenant, progress.show)
      return { words: `as of ${until} stands beside the live one as kiln.${projection.name}__past`, table: `kiln.${projection.name}__past` }
    }
    if (Option.isSome(input.from)) {
      const { poisoned, refolded } = yield* refoldFrom(projection, input.from.value, tenant, progress.show)
      return { words: `has ${count(refolded)} of its aggregates folded anew`, refolded, ...(poisoned.length > 0 && { still_parked: poisoned }) }
    }
    if (tenant !== undefined) {
      yield* rebuildTenant(projection, tenant, progress.show)
      return { words: `has the rows of ${tenant} built anew` }
    }
    yield* rebuild(projection, progress.show)
    return { words: `was rebuilt from ${count(progress.entries())} entries and swapped in` }
  })
  const on = [projection.name, ...tenant === undefined ? [] : [`of ${tenant}`], ...Option.isSome(input.from) ? [`from ${input.from.value}`] : []].join(" ")
  const recorded = until === undefined ? onRecordHere({ operation: "replay", on, result: ({ words }) => words }, run, tenant) : run
  const { words, ...result } = yield* recorded.pipe(
    Effect.provide(reach),
    Effect.mapError(({ message }) => commandFailed("unreachable", `The replay stopped: ${message}; start it again and it goes on from there`))
  )
  yield* progress.clear
  yield* answer({ projection: projection.name, entries: progress.entries(), seconds: progress.seconds(), ...result },
    () => [`The read model ${projection.name} ${words}, in ${span(progress.seconds() * 1000)}`])
})
