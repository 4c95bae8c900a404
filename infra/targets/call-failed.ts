/** One call to a provider that failed, with what is needed to tell "is not there" and "try again" from the rest. */
import { Effect, Schedule, Schema } from "effect"
import { BuildFailed } from "../../domain/ports/image-builder.ts"
import { classOf, type Said, targetFailed } from "./failures.ts"

export class CallFailed extends Schema.TaggedError<CallFailed>()("CallFailed", {
  what: Schema.String,
  status: Schema.optionalKey(Schema.Int),
  code: Schema.optionalKey(Schema.String),
  message: Schema.String,
  /** As the provider asked. */
  retryAfterMs: Schema.optionalKey(Schema.Int)
}) {}

export const callFailed = (what: string, { code, message, status }: Said, retryAfterMs?: number) => new CallFailed({
  what, message, ...(status !== undefined && { status }), ...(code !== undefined && { code }), ...(retryAfterMs !== undefined && { retryAfterMs })
})

const saidIn = ({ code, message, status }: CallFailed): Said => ({ code, message, status })

export const inKilnsWords = ({ code, message, retryAfterMs, status, what }: CallFailed): BuildFailed =>
  targetFailed(what, { message, retryAfterMs, ...(code !== undefined && { code }), ...(status !== undefined && { status }) })

export const has = (...statuses: ReadonlyArray<number>) => (failed: CallFailed) => failed.status !== undefined && statuses.includes(failed.status)

/** Nothing but another time makes a difference. */
export const isPassing = (failed: CallFailed) => failed.status === 429 || (failed.status ?? 0) >= 500 || classOf(saidIn(failed)) === "target-fault"

const longestWaitMs = 60_000

/** Calls that may be repeated, while what keeps them from working is likely to pass. */
export const persistently = <A, R>(call: Effect.Effect<A, CallFailed, R>, pauseMs: number, times = 5): Effect.Effect<A, CallFailed, R> =>
  call.pipe(
    Effect.tapError((failed) => failed.retryAfterMs === undefined || !isPassing(failed) ? Effect.void : Effect.sleep(Math.min(failed.retryAfterMs, longestWaitMs))),
    Effect.retry({ while: isPassing, times, schedule: Schedule.exponential(pauseMs, 2).pipe(Schedule.jittered) })
  )

/** `undefined` for what is not there. */
export const orAbsent = <A, R>(call: Effect.Effect<A, CallFailed, R>): Effect.Effect<A | undefined, CallFailed, R> =>
  Effect.catchTag(call, "CallFailed", (failed) => has(404)(failed) ? Effect.succeed(undefined) : Effect.fail(failed))
