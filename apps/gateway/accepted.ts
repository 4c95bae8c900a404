/** How an accepted compose is answered, counted and traced. */
import { Clock, Effect, Metric } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { QuotaExceeded } from "../../domain/account.ts"
import type { ComposeRejected } from "../../domain/compose-rejected.ts"
import type { LogUnavailable } from "../../domain/ports/event-log.ts"
import type { ComposeAccepted } from "./api/compose-views.ts"
import { prefix } from "./api/kiln-api.ts"
import type { KeyReused } from "./api/problems.ts"
import { orUnavailable } from "./find-compose.ts"
import { quotaRefused } from "./refusals.ts"

/** Answers for a compose that is being recorded, wherever its request comes from. */
export const answering = <R>(recording: Effect.Effect<ComposeAccepted, LogUnavailable | ComposeRejected | QuotaExceeded | KeyReused, R>) =>
  recording.pipe(
    Effect.catchTags({
      LogUnavailable: (error) => orUnavailable(Effect.fail(error)),
      ComposeRejected: Effect.die,
      QuotaExceeded: (refusal) => Effect.succeed(refusal)
    }),
    Effect.flatMap(answered)
  )

/** 202 for what is recorded now, or what a spent quota says. */
const answered = Effect.fnUntraced(function*(accepted: ComposeAccepted | QuotaExceeded) {
  if (isRefusal(accepted)) {
    yield* Metric.update(refusedBy(accepted.rule), 1)
    return yield* quotaRefused(accepted, yield* Clock.currentTimeMillis)
  }
  yield* Metric.update(acceptedBy(accepted.distribution), 1)
  return HttpServerResponse.jsonUnsafe(accepted, { status: 202, headers: { location: `${prefix}/composes/${accepted.id}` } })
})

const traceShape = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/** W3C trace context, if it is well formed. */
export const traceOf = ({ headers }: HttpServerRequest.HttpServerRequest): string | undefined => {
  const trace = headers["traceparent"]
  return trace !== undefined && traceShape.test(trace) ? trace : undefined
}

const isRefusal = (answer: object): answer is QuotaExceeded => answer instanceof QuotaExceeded

const refusedBy = (rule: QuotaExceeded["rule"]): Metric.Counter<number> =>
  Metric.counter("kiln_quota_refused_total", { description: "Composes refused by a quota", incremental: true, attributes: { rule } })

const counters = new Map<string, Metric.Counter<number>>()
const acceptedBy = (distribution: string): Metric.Counter<number> => {
  const counter = counters.get(distribution) ?? Metric.counter("kiln_composes_accepted_total", {
    description: "Composes accepted", incremental: true, attributes: { distribution }
  })
  counters.set(distribution, counter)
  return counter
}
