/** Checks that read models are what the log says, and that the log is whole. */
import { Effect, Option } from "effect"
import { projections } from "../../../projections/all.ts"
import type { Projection } from "../../../projections/projection.ts"
import { verifyLog } from "../../projector/verify-log.ts"
import { type Verified, verifyProjection } from "../../projector/verify.ts"
import { commandFailed } from "../command-failed.ts"
import { answer, Output } from "../output.ts"
import { backends, projectionNamed } from "../past-the-gateway.ts"
import { count, progressOf } from "../progress.ts"

export const verify = Effect.fn("verify")(function*({ projection: only }: { readonly projection: Option.Option<string> }) {
  const wanted = Option.isNone(only) ? [...projections.values()] : [yield* projectionNamed(only.value)]
  const output = yield* Output
  const check = Effect.fnUntraced(function*(projection: Projection) {
    const progress = progressOf(output, projection.name)
    const result = yield* verifyProjection(projection, progress.show)
    yield* progress.clear
    return { projection: projection.name, ...result }
  })
  const wholeLog = Effect.gen(function*() {
    const progress = progressOf(output, "log")
    const result = yield* verifyLog(progress.show)
    yield* progress.clear
    return result
  })
  const { log, models } = yield* Effect.all({
    models: Effect.forEach(wanted, check),
    log: Option.isNone(only) ? wholeLog : Effect.succeed(undefined)
  }).pipe(
    Effect.provide(yield* backends("verify")),
    Effect.mapError(({ message }) => commandFailed("unreachable", `The verification stopped: ${message}`))
  )
  yield* answer({ read_models: models.map(({ _tag, ...model }) => ({ ...model, ...(_tag === "Outdated" && { outdated: true }) })), ...(log && { log }) }, () => [
    ...models.flatMap(wordsOf),
    ...(log === undefined ? [] : log.count === 0
      ? [`The log's ${count(log.entries)} entries are without a gap, and the ${count(log.blobs)} blobs that they name are there`]
      : [`The log has ${count(log.count)} faults:`, ...log.faults.map((fault) => `  ${fault}`)])
  ])
  const well = models.every((model) => model._tag === "Compared" && model.differences === 0) && (log?.count ?? 0) === 0
  if (!well) return yield* commandFailed("failed", "")
})

const wordsOf = (model: Verified & { readonly projection: string }): ReadonlyArray<string> => {
  if (model._tag === "Outdated") return [`${model.projection}: of another version than this program; start the projector, which builds it anew`]
  const parked = model.parked === 0 ? "" : `; ${model.parked} parked`
  return model.differences === 0
    ? [`${model.projection}: what the log says, row for row${parked}`]
    : [`${model.projection}: ${count(model.differences)} rows are not what the log says${parked}, such as`, ...model.keys.map((key) => `  ${key}`)]
}
