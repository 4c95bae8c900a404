/** The scheduler's end of the work account. */
import { randomUUID } from "node:crypto"
import { Deferred, Effect, Exit, Layer, Queue as EffectQueue, Schema, Stream } from "effect"
import type { Errand } from "../../domain/errand.ts"
import { Digest } from "../../domain/ids.ts"
import { Dispatch, type ReportDelivery, type Undeliverable, WorkUnavailable } from "../../domain/ports/work.ts"
import { Claim, Heartbeat, type Lying, type Speaker, speakerKey, WorkItem, WorkReport } from "../../domain/work.ts"
import { headers, type Msg, nanos, type NatsConnection } from "@nats-io/transport-node"
import { AckPolicy, DeliverPolicy, type JetStreamManager, type JsMsg } from "@nats-io/jetstream"
import { packed } from "./packed-documents.ts"
import { encodeErrand, unpackedAnswer } from "./errands.ts"
import { attentive, type Nats, WorkNats } from "./nats.ts"
import { ensureWorkStreams } from "./streams.ts"
import { dropMessage, type Patience, patience, undeliverable } from "./undeliverable.ts"
import { controlSubject, errandSubject, partHeader, queueConsumer, queueOf, queueSubject, rollCallSubject, speakerOf } from "./work-subjects.ts"

const unavailable = (error: unknown) => new WorkUnavailable({ message: `the work queues do not answer: ${(error as Error).message}` })
const attempt = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: unavailable })

const decodeItem = Schema.decodeUnknownExit(Schema.fromJsonString(WorkItem))
const decodeReports = Schema.decodeUnknownExit(Schema.fromJsonString(Schema.Array(WorkReport)))
const decodeHeartbeat = Schema.decodeUnknownExit(Schema.fromJsonString(Heartbeat))
const decodeClaim = Schema.decodeUnknownExit(Schema.fromJsonString(Claim))

export const DispatchJetStream = ({ patience: given = patience, replicas }: { readonly replicas: number; readonly patience?: Patience }) =>
  Layer.effect(Dispatch, Effect.gen(function*() {
    const nats = yield* WorkNats
    yield* ensureWorkStreams(nats.jsm, replicas)
    yield* attempt(() => clearOldQueues(nats.jsm))
    const known = new Set<string>()
    const unreadable = yield* EffectQueue.unbounded<Undeliverable>()

    const ensureQueue = (speaker: Speaker) =>
      known.has(speakerKey(speaker)) ? Effect.void : attempt(async () => {
        await ensureQueueConsumer(nats.jsm, speaker, given)
        known.add(speakerKey(speaker))
      })

    return Dispatch.of({
      put: Effect.fnUntraced(function*(speaker, item, messageId) {
        yield* ensureQueue(speaker)
        return (yield* attempt(() => nats.js.publish(queueSubject(speaker), JSON.stringify(item), { msgID: messageId }))).seq
      }),
      lying: attempt(() => lying(nats)),
      withdraw: (sequences) => Effect.asVoid(attempt(() => Promise.all(sequences.map((sequence) => dropMessage(nats.jsm, "JOBS", sequence))))),
      dismiss: (speaker) =>
        attempt(async () => {
          known.delete(speakerKey(speaker))
          await nats.jsm.consumers.delete("JOBS", queueConsumer(speaker)).catch(ifMissing)
          await nats.jsm.streams.purge("JOBS", { filter: queueSubject(speaker) })
        }),
      reports: reports(nats, given, unreadable),
      backlog: attempt(async () => {
        const { state } = await nats.jsm.streams.info("RESULTS")
        return state.messages
      }),
      undeliverable: Stream.merge(undeliverable(nats), Stream.fromQueue(unreadable)),
      heartbeats: Stream.callback<Speaker & { readonly heartbeat: Heartbeat }>((emit) =>
        Effect.acquireRelease(
          Effect.sync(() => nats.nc.subscribe("worker.*.*.heartbeat", {
            callback: (_, message) => {
              const heartbeat = decodeHeartbeat(message.string())
              if (Exit.isFailure(heartbeat)) return
              EffectQueue.offerUnsafe(emit, { ...speakerOf(message.subject), heartbeat: heartbeat.value })
            }
          })),
          (subscription) => Effect.sync(() => subscription.unsubscribe())
        )
      ).pipe(
        // A worker may only take from a queue that is there.
        Stream.tap(ensureQueue)
      ),
      rollCall: Effect.sync(() => nats.nc.publish(rollCallSubject)),
      stop: (speaker, claim, canceled) =>
        Effect.sync(() => nats.nc.publish(controlSubject(speaker), JSON.stringify({ ...claim, ...(canceled === true && { canceled }) }))),
      discard: (speaker, digest) => {
        if (!nats.nc.isClosed()) nats.nc.publish(controlSubject(speaker), JSON.stringify({ discard: digest }))
      },
      errand: (speaker, errand, withinMs) => sentOn(nats.nc, speaker, errand, withinMs),
      serveSecrets: (answer) => served(nats.nc, "secrets", (message) => respond(message, answer)),
      serveFiles: (answer) => served(nats.nc, "files", (message) => respondPart(message, answer)),
      serveDocuments: (answer) => served(nats.nc, "documents", (message) => respondDocuments(message, answer))
    })
  }))

/** Only that worker may speak where the answer is waited for. */
const sentOn = Effect.fnUntraced(function*(nc: NatsConnection, speaker: Speaker, errand: Errand, withinMs: number) {
  const errandId = randomUUID()
  const answered = yield* Deferred.make<Uint8Array>()
  yield* Effect.acquireRelease(
    Effect.sync(() => nc.subscribe(errandSubject(speaker, errandId), { max: 1, callback: (_, { data }) => void Deferred.doneUnsafe(answered, Effect.succeed(data)) })),
    (subscription) => Effect.sync(() => subscription.unsubscribe())
  )
  yield* attempt(async () => nc.publish(controlSubject(speaker), encodeErrand({ errandId, errand })))
  return yield* Effect.flatMap(Deferred.await(answered), unpackedAnswer).pipe(
    Effect.mapError(() => new WorkUnavailable({ message: `what worker ${speaker.worker} answers cannot be read` })),
    Effect.timeoutOrElse({ duration: withinMs, orElse: () => new WorkUnavailable({ message: `worker ${speaker.worker} did not answer within ${withinMs / 1000} s` }) })
  )
}, Effect.scoped)

const served = (nc: NatsConnection, what: string, respond: (message: Msg) => Effect.Effect<void>) =>
  Effect.scoped(Effect.gen(function*() {
    const asked = yield* EffectQueue.unbounded<Msg>()
    yield* Effect.acquireRelease(
      Effect.sync(() => nc.subscribe(`worker.*.*.${what}`, { callback: (_, message) => void EffectQueue.offerUnsafe(asked, message) })),
      (subscription) => Effect.sync(() => subscription.unsubscribe())
    )
    return yield* EffectQueue.take(asked).pipe(
      Effect.flatMap((message) => Effect.forkChild(respond(message))),
      Effect.forever
    )
  }))

type Answer = Parameters<Dispatch["Service"]["serveSecrets"]>[0]

/** What comes from the workers' account has a reply address that the server has made, and leads back into that account alone. */
const fromWorkers = "_R_."

const respond = (message: Msg, answer: Answer) =>
  Effect.gen(function*() {
    const speaker = speakerOf(message.subject)
    const claim = decodeClaim(message.string())
    if (!message.reply?.startsWith(fromWorkers) || Exit.isFailure(claim)) return
    const secrets = yield* answer(speaker, claim.value)
    message.respond(JSON.stringify(secrets === undefined ? { refused: true } : { secrets: Object.fromEntries(secrets) }))
  })

const AskedPart = Schema.fromJsonString(Schema.Struct({ claim: Claim, digest: Digest, index: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 20 })) }))
const decodePart = Schema.decodeUnknownExit(AskedPart)

/** A part goes as it is, with a header that says so; without one the answer is the reason why there is none. */
const respondPart = (message: Msg, answer: Parameters<Dispatch["Service"]["serveFiles"]>[0]) =>
  Effect.gen(function*() {
    const asked = decodePart(message.string())
    if (!message.reply?.startsWith(fromWorkers) || Exit.isFailure(asked)) return
    const { claim, ...wanted } = asked.value
    const part = yield* answer(speakerOf(message.subject), claim, wanted)
    if (part === undefined || part === "gone") return void message.respond(part ?? "refused")
    const said = headers()
    said.set(partHeader, String(wanted.index))
    message.respond(part, { headers: said })
  })

const decodeManifest = Schema.decodeUnknownExit(Schema.fromJsonString(Schema.Struct({ claim: Claim, manifest: Digest })))

const respondDocuments = (message: Msg, answer: Parameters<Dispatch["Service"]["serveDocuments"]>[0]) =>
  Effect.gen(function*() {
    const asked = decodeManifest(message.string())
    if (!message.reply?.startsWith(fromWorkers) || Exit.isFailure(asked)) return
    const documents = yield* answer(speakerOf(message.subject), asked.value.claim, asked.value.manifest)
    message.respond(documents === undefined ? "refused" : yield* packed(documents))
  })

/** Made anew by whoever begins to listen: what an earlier listener had in its hands comes at once and not when its time is over. */
const newReportConsumer = async (jsm: JetStreamManager, { deliveries }: Patience) => {
  await jsm.consumers.delete("RESULTS", "scheduler").catch(ifMissing)
  await jsm.consumers.add("RESULTS", {
    durable_name: "scheduler", ack_policy: AckPolicy.Explicit, deliver_policy: DeliverPolicy.All, ack_wait: nanos(10_000),
    max_ack_pending: 4096, max_deliver: deliveries.RESULTS
  })
}

const ensureQueueConsumer = (jsm: JetStreamManager, speaker: Speaker, { deliveries, jobAckWaitMs }: Patience) =>
  jsm.consumers.add("JOBS", {
    durable_name: queueConsumer(speaker), ack_policy: AckPolicy.Explicit, deliver_policy: DeliverPolicy.All,
    ack_wait: nanos(jobAckWaitMs), filter_subject: queueSubject(speaker), max_ack_pending: -1, max_deliver: deliveries.JOBS
  })

/** Queues were once by pool, architecture and kind. What lay there waits in the log and is given out anew. */
const clearOldQueues = async (jsm: JetStreamManager) => {
  for await (const { config, name } of jsm.consumers.list("JOBS")) {
    if (config.filter_subject?.split(".").length === 4) await jsm.consumers.delete("JOBS", name).catch(ifMissing)
  }
  await jsm.streams.purge("JOBS", { filter: "jobs.*.*.*" })
}

const ifMissing = (error: unknown) => {
  if ((error as { code?: number }).code !== 10_014) throw error
}

/** What cannot be read is set aside at once: left to come again, it would hold up what can. */
const reports = (nats: Nats, patience: Patience, unreadable: EffectQueue.Queue<Undeliverable>): Stream.Stream<ReportDelivery, WorkUnavailable> =>
  Stream.unwrap(Effect.gen(function*() {
    const messages = yield* Effect.acquireRelease(
      attempt(async () => {
        await newReportConsumer(nats.jsm, patience)
        return (await nats.js.consumers.get("RESULTS", "scheduler")).consume({ max_messages: 256, ...attentive })
      }),
      // What it answers with waits for whoever iterates, and who is let go of before the first pull never does.
      (messages) => Effect.sync(() => void messages.close())
    )
    return Stream.fromAsyncIterable(messages, unavailable).pipe(
      Stream.map((message) => {
        const reports = decodeReports(message.string())
        if (Exit.isSuccess(reports)) return reportDelivery(message, reports.value)
        EffectQueue.offerUnsafe(unreadable, unreadableReport(message))
        return undefined
      }),
      Stream.filter((delivery) => delivery !== undefined)
    )
  }))

const reportDelivery = (message: JsMsg, reports: ReportDelivery["reports"]): ReportDelivery => ({
  ...speakerOf(message.subject),
  reports,
  acknowledge: Effect.sync(() => message.ack()),
  again: Effect.sync(() => message.nak(1000))
})

const unreadableReport = (message: JsMsg): Undeliverable => ({
  what: "report", lying: undefined, subject: message.subject, text: message.string(), deliveries: message.info.deliveryCount,
  drop: Effect.sync(() => message.term("cannot be read"))
})

/** Few by design: a worker is given no more than it can do. */
const lying = async (nats: Nats): Promise<ReadonlyArray<Lying>> => {
  const { state } = await nats.jsm.streams.info("JOBS")
  const found: Array<Lying> = []
  for (let sequence = state.first_seq; sequence <= state.last_seq;) {
    const message = await nats.jsm.direct.getMessage("JOBS", { seq: sequence, next_by_subj: "jobs.>" })
    if (message === null) break
    const item = decodeItem(message.string())
    if (Exit.isSuccess(item)) found.push({ ...item.value, speaker: queueOf(message.subject), sequence: message.seq })
    sequence = message.seq + 1
  }
  return found
}
