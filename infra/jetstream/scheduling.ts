/** Questions to the scheduler and its answers, past JetStream: an answer is worth nothing a second later. */
import { gunzipSync, gzipSync } from "node:zlib"
import type { Msg, NatsConnection } from "@nats-io/transport-node"
import { Effect, Exit, Layer, Queue, Schema } from "effect"
import { AskedErrand, SentErrand } from "../../domain/errand.ts"
import { ComposeId, Digest, TenantId, WorkerId } from "../../domain/ids.ts"
import { Scheduling, SchedulerSilent, SchedulingAnswers } from "../../domain/ports/scheduling.ts"
import { PoolDemand } from "../../domain/scaling/demand.ts"
import { DiscardAnswer } from "../../domain/scheduling/discard.ts"
import { ExpiredCopy } from "../../domain/scheduling/expired-copy.ts"
import { JobOutlook } from "../../domain/scheduling/job-outlook.ts"
import { ReaperReport, SweepRequest } from "../../domain/scheduling/reaper-report.ts"
import { WorkerOutlook } from "../../domain/scheduling/worker-outlook.ts"
import { CoreNats } from "./nats.ts"

const workers = {
  subject: "ask.workers", Question: Schema.Struct({ name: Schema.optionalKey(WorkerId) }), Answer: Schema.Array(WorkerOutlook)
}
const pools = { subject: "ask.pools", Question: Schema.Struct({}), Answer: Schema.Array(PoolDemand) }
const waiting = {
  subject: "ask.waiting", Question: Schema.Struct({ tenantId: TenantId, composeId: ComposeId }), Answer: Schema.Array(JobOutlook)
}
const discard = { subject: "ask.discard", Question: Schema.Struct({ name: WorkerId, digest: Digest }), Answer: DiscardAnswer }

const retention = {
  subject: "ask.retention", Question: Schema.Struct({ tenantId: TenantId, now: Schema.Boolean }), Answer: Schema.Array(ExpiredCopy)
}

const reaper = { subject: "ask.reaper", Question: Schema.Struct({ sweep: Schema.optionalKey(SweepRequest) }), Answer: ReaperReport }

const errand = { subject: "ask.errand", Question: Schema.Struct({ tenantId: TenantId, asked: AskedErrand }), Answer: SentErrand, withinMs: 35_000 }

interface Topic<Q, A> {
  readonly subject: string
  /** Where it is more than a look into memory. */
  readonly withinMs?: number
  readonly Question: Schema.Codec<Q, unknown>
  readonly Answer: Schema.Codec<A, unknown>
}

const answerWithinMs = 2000

export const SchedulingNats = Layer.effect(Scheduling, Effect.gen(function*() {
  const { nc } = yield* CoreNats
  return Scheduling.of({
    workers: (name) => ask(nc, workers, name === undefined ? {} : { name }),
    pools: ask(nc, pools, {}),
    waiting: (tenantId, composeId) => ask(nc, waiting, { tenantId, composeId }),
    discard: (name, digest) => ask(nc, discard, { name, digest }),
    retention: (tenantId, now) => ask(nc, retention, { tenantId, now }),
    reaper: (sweep) => ask(nc, reaper, sweep === undefined ? {} : { sweep }),
    errand: (tenantId, asked) => ask(nc, errand, { tenantId, asked })
  })
}))

const silent = () => new SchedulerSilent({ message: "no scheduler answers: none runs, or it is just starting" })

const ask = <Q, A>(nc: NatsConnection, { Answer, Question, subject, withinMs }: Topic<Q, A>, question: Q): Effect.Effect<A, SchedulerSilent> =>
  Effect.tryPromise(() =>
    nc.request(subject, Schema.encodeSync(Schema.fromJsonString(Question))(question), { timeout: withinMs ?? answerWithinMs })
  ).pipe(
    Effect.flatMap((message) => Schema.decodeUnknownEffect(Schema.fromJsonString(Answer))(unpack(message.data))),
    Effect.tapError((error) => Effect.logDebug("the scheduler did not answer", { subject }, error)),
    Effect.mapError(silent)
  )

export const SchedulingAnswersNats = Layer.effect(SchedulingAnswers, Effect.gen(function*() {
  const { nc } = yield* CoreNats
  return SchedulingAnswers.of({
    serve: (desk) =>
      Effect.scoped(Effect.andThen(
        Effect.all([
          answering(nc, workers, ({ name }) => desk.workers(name)),
          answering(nc, pools, () => desk.pools()),
          answering(nc, waiting, ({ composeId, tenantId }) => desk.waiting(tenantId, composeId)),
          answering(nc, discard, ({ digest, name }) => desk.discard(name, digest)),
          answering(nc, retention, ({ now, tenantId }) => desk.retention(tenantId, now)),
          answering(nc, reaper, ({ sweep }) => desk.reaper(sweep))
        ], { discard: true }),
        doing(nc, errand, ({ asked, tenantId }) => desk.errand?.(tenantId, asked))
      ))
  })
}))

const answering = <Q, A>(nc: NatsConnection, { Question, subject }: Topic<Q, A>, look: (question: Q) => A | undefined) => {
  const decode = Schema.decodeUnknownExit(Schema.fromJsonString(Question))
  const respond = (message: Msg) => {
    const question = decode(message.string())
    const answer = Exit.isSuccess(question) ? look(question.value) : undefined
    // Answers are as they are sent, and thousands of workers would take the scheduler a while to encode.
    if (answer !== undefined) message.respond(pack(JSON.stringify(answer)))
  }
  return Effect.acquireRelease(
    Effect.sync(() => nc.subscribe(subject, { callback: (_, message) => respond(message) })),
    (subscription) => Effect.sync(() => subscription.unsubscribe())
  )
}

/** As `answering`, for what takes its time. */
const doing = <Q, A>(nc: NatsConnection, { Question, subject }: Topic<Q, A>, look: (question: Q) => Effect.Effect<A> | undefined) =>
  Effect.gen(function*() {
    const decode = Schema.decodeUnknownExit(Schema.fromJsonString(Question))
    const asked = yield* Queue.unbounded<Msg>()
    yield* Effect.acquireRelease(
      Effect.sync(() => nc.subscribe(subject, { callback: (_, message) => void Queue.offerUnsafe(asked, message) })),
      (subscription) => Effect.sync(() => subscription.unsubscribe())
    )
    return yield* Queue.take(asked).pipe(
      Effect.flatMap((message) => {
        const question = decode(message.string())
        const done = Exit.isSuccess(question) ? look(question.value) : undefined
        return done === undefined ? Effect.void : Effect.forkChild(Effect.map(done, (answer) => message.respond(pack(JSON.stringify(answer)))))
      }),
      Effect.forever
    )
  })

/** Thousands of workers with their labels are more than one message may hold. */
const packedFrom = 256 * 1024
const pack = (text: string): Uint8Array | string => text.length < packedFrom ? text : gzipSync(text, { level: 1 })
const unpack = (data: Uint8Array): string => (data[0] === 0x1f ? gunzipSync(data) : Buffer.from(data)).toString()
