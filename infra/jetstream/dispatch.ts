/** The scheduler's end of the work account. */
import { AckPolicy, DeliverPolicy, type JetStreamManager, JetStreamApiError } from "@nats-io/jetstream"
import { type Msg, nanos } from "@nats-io/transport-node"
import { Effect, Exit, Layer, Queue as EffectQueue, Schema, Stream } from "effect"
import { Dispatch, type Queue, type ReportDelivery, type Waiting, WorkUnavailable } from "../../domain/ports/work.ts"
import { Claim, Heartbeat, type Speaker, WorkItem, WorkReport } from "../../domain/work.ts"
import { type Nats, WorkNats } from "./nats.ts"
import { ensureWorkStreams } from "./streams.ts"
import {
  controlSubject, inboxPrefix, queueConsumer, queuesOf, queueSubject, rollCallSubject, speakerOf
} from "./work-subjects.ts"

const unavailable = (error: unknown) => new WorkUnavailable({ message: `the work queues do not answer: ${(error as Error).message}` })
const attempt = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: unavailable })

const encodeItem = Schema.encodeSync(Schema.fromJsonString(WorkItem))
const decodeItem = Schema.decodeUnknownExit(Schema.fromJsonString(WorkItem))
const decodeReport = Schema.decodeUnknownExit(Schema.fromJsonString(WorkReport))
const decodeHeartbeat = Schema.decodeUnknownExit(Schema.fromJsonString(Heartbeat))
const decodeClaim = Schema.decodeUnknownExit(Schema.fromJsonString(Claim))

export const DispatchJetStream = ({ replicas }: { readonly replicas: number }) =>
  Layer.effect(Dispatch, Effect.gen(function*() {
    const nats = yield* WorkNats
    yield* ensureWorkStreams(nats.jsm, replicas)
    yield* attempt(() => ensureReportConsumer(nats.jsm))
    const pools = new Set<string>()

    const ensurePool = (pool: Queue["pool"]) =>
      pools.has(pool) ? Effect.void : attempt(async () => {
        await Promise.all(queuesOf(pool).map((queue) => ensureQueueConsumer(nats.jsm, queue)))
        pools.add(pool)
      })

    return Dispatch.of({
      put: Effect.fn("Dispatch.put")(function*(queue, item, messageId) {
        yield* ensurePool(queue.pool)
        yield* attempt(() => nats.js.publish(queueSubject(queue), encodeItem(item), { msgID: messageId }))
      }),
      waiting: attempt(() => waiting(nats)),
      reports: reports(nats),
      heartbeats: Stream.callback<Speaker & { readonly heartbeat: Heartbeat }>((emit) =>
        Effect.acquireRelease(
          Effect.sync(() => nats.nc.subscribe("worker.*.*.heartbeat", {
            callback: (_, message) => {
              const heartbeat = decodeHeartbeat(message.string())
              if (Exit.isFailure(heartbeat)) return
              const speaker = speakerOf(message.subject)
              EffectQueue.offerUnsafe(emit, { ...speaker, heartbeat: heartbeat.value })
            }
          })),
          (subscription) => Effect.sync(() => subscription.unsubscribe())
        )
      ).pipe(
        // A worker may only pull from consumers that are there.
        Stream.tap(({ pool }) => ensurePool(pool))
      ),
      rollCall: Effect.sync(() => nats.nc.publish(rollCallSubject)),
      stop: (speaker, claim) => Effect.sync(() => nats.nc.publish(controlSubject(speaker), JSON.stringify(claim))),
      serveSecrets: (answer) =>
        Effect.scoped(Effect.gen(function*() {
          const asked = yield* EffectQueue.unbounded<Msg>()
          yield* Effect.acquireRelease(
            Effect.sync(() => nats.nc.subscribe("worker.*.*.secrets", { callback: (_, message) => void EffectQueue.offerUnsafe(asked, message) })),
            (subscription) => Effect.sync(() => subscription.unsubscribe())
          )
          return yield* EffectQueue.take(asked).pipe(
            Effect.flatMap((message) => Effect.forkChild(respond(message, answer))),
            Effect.forever
          )
        }))
    })
  }))

type Answer = Parameters<Dispatch["Service"]["serveSecrets"]>[0]

/** A reply address outside of the asker's own inbox would make us speak for it where it may not. */
const respond = (message: Msg, answer: Answer) =>
  Effect.gen(function*() {
    const speaker = speakerOf(message.subject)
    const claim = decodeClaim(message.string())
    if (!message.reply?.startsWith(`${inboxPrefix(speaker)}.`) || Exit.isFailure(claim)) return
    const secrets = yield* answer(speaker, claim.value)
    message.respond(JSON.stringify(secrets === undefined ? { refused: true } : { secrets: Object.fromEntries(secrets) }))
  })

const ensureReportConsumer = (jsm: JetStreamManager) =>
  jsm.consumers.add("RESULTS", {
    durable_name: "scheduler", ack_policy: AckPolicy.Explicit, deliver_policy: DeliverPolicy.All, ack_wait: nanos(30_000), max_ack_pending: 512
  })

const ensureQueueConsumer = (jsm: JetStreamManager, queue: Queue) =>
  jsm.consumers.add("JOBS", {
    durable_name: queueConsumer(queue), ack_policy: AckPolicy.Explicit, deliver_policy: DeliverPolicy.All,
    ack_wait: nanos(15_000), filter_subject: queueSubject(queue), max_ack_pending: -1, max_waiting: 512
  }).catch((error: unknown) => {
    if (!(error instanceof JetStreamApiError)) throw error
    throw new Error(`consumer ${queueConsumer(queue)}: ${error.message}`)
  })

const reports = (nats: Nats): Stream.Stream<ReportDelivery, WorkUnavailable> =>
  Stream.unwrap(Effect.gen(function*() {
    const messages = yield* Effect.acquireRelease(
      attempt(async () => (await nats.js.consumers.get("RESULTS", "scheduler")).consume({ max_messages: 256 })),
      (messages) => Effect.promise(async () => void await messages.close())
    )
    return Stream.fromAsyncIterable(messages, unavailable).pipe(
      Stream.mapEffect((message) => {
        const report = decodeReport(message.string())
        if (Exit.isSuccess(report)) {
          const delivery: ReportDelivery = {
            ...speakerOf(message.subject),
            report: report.value,
            acknowledge: Effect.sync(() => message.ack()),
            again: Effect.sync(() => message.nak(1000))
          }
          return Effect.succeed([delivery])
        }
        message.term("not a report")
        return Effect.as(Effect.logError("a worker's report cannot be read", { subject: message.subject, cause: report.cause }), [])
      }),
      Stream.flatMap(Stream.fromIterable)
    )
  }))

/** Few by design: the scheduler fills queues only as deep as there are slots. */
const waiting = async (nats: Nats): Promise<ReadonlyArray<Waiting>> => {
  const { state } = await nats.jsm.streams.info("JOBS")
  const found: Array<Waiting> = []
  for (let sequence = state.first_seq; sequence <= state.last_seq;) {
    const message = await nats.jsm.direct.getMessage("JOBS", { seq: sequence, next_by_subj: "jobs.>" })
    if (message === null) break
    const item = decodeItem(message.string())
    if (Exit.isSuccess(item)) found.push(item.value)
    sequence = message.seq + 1
  }
  return found
}

