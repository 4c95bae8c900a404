/** The worker's end of the work account: it takes from a queue that others made, and speaks only below its own name. */
import { type ConsumerMessages, type JsMsg, jetstream, type JetStreamClient } from "@nats-io/jetstream"
import { Effect, Exit, Layer, Queue, Schedule, Schema, Stream } from "effect"
import { Digest } from "../../domain/ids.ts"
import { type Control, type JobDelivery, Workplace, WorkUnavailable } from "../../domain/ports/work.ts"
import { Claim, Heartbeat, type Speaker, speakerKey, WorkItem } from "../../domain/work.ts"
import { errandIn, packedAnswer } from "./errands.ts"
import { attentive, connection } from "./nats.ts"
import { unpacked } from "./packed-documents.ts"
import { together } from "./together.ts"
import { controlSubject, errandSubject, feedSubject, inboxPrefix, partHeader, queueConsumer, queuesApi, rollCallSubject, workerSubject } from "./work-subjects.ts"

export interface WorkplaceConfig extends Speaker {
  readonly servers: string
  /** Asked at every connect, so that a renewed token is used as soon as the old one has run out. */
  readonly token: () => string
}

const unavailable = (error: unknown) => new WorkUnavailable({ message: `the work queues do not answer: ${(error as Error).message}` })
const attempt = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: unavailable })

const decodeItem = Schema.decodeUnknownExit(Schema.fromJsonString(WorkItem))
const decodeClaim = Schema.decodeUnknownExit(Schema.fromJsonString(Claim))
const decodeCanceled = Schema.decodeUnknownExit(Schema.fromJsonString(Schema.Struct({ canceled: Schema.Literal(true) })))
/** What is more than this may be something that a later scheduler says. */
const decodeDiscard = Schema.decodeUnknownExit(Schema.fromJsonString(Schema.Struct({ discard: Digest })), { onExcessProperty: "error" })
const encodeHeartbeat = Schema.encodeSync(Schema.fromJsonString(Heartbeat))

/** Well below what the server takes in one message; a report alone may be larger. */
const largestMessage = 512 * 1024

export const WorkplaceJetStream = (config: WorkplaceConfig) =>
  Layer.effect(Workplace, Effect.gen(function*() {
    const speaker: Speaker = { scope: config.scope, worker: config.worker }
    const nc = yield* connection({
      servers: config.servers, name: speakerKey(config), inboxPrefix: inboxPrefix(speaker), authenticator: () => ({ auth_token: config.token() })
    })
    const js = jetstream(nc, { timeout: 10_000, apiPrefix: queuesApi })
    const say = (subject: string, text: string) => {
      if (!nc.isClosed()) nc.publish(subject, text)
    }
    const results = workerSubject(speaker, "result")
    const report = together<string>(
      async (reports) => void await js.publish(results, `[${reports.join(",")}]`),
      { size: (text) => text.length, largest: largestMessage }
    )

    return Workplace.of({
      jobs: jobs(js, speaker),
      report: (reports) => attempt(() => report(reports.map((message) => JSON.stringify(message)).join(","))),
      heartbeat: (heartbeat) => say(workerSubject(speaker, "heartbeat"), encodeHeartbeat(heartbeat)),
      control: Stream.callback<Control>((emit) =>
        Effect.acquireRelease(
          Effect.sync(() => [
            nc.subscribe(rollCallSubject, { callback: () => void Queue.offerUnsafe(emit, { _tag: "RollCall" }) }),
            nc.subscribe(controlSubject(speaker), {
              callback: (_, message) => {
                const control = controlOf(message.string())
                if (control !== undefined) Queue.offerUnsafe(emit, control)
              }
            })
          ]),
          (subscriptions) => Effect.sync(() => subscriptions.forEach((subscription) => subscription.unsubscribe()))
        )
      ),
      secrets: (claim) =>
        attempt(() => nc.request(workerSubject(speaker, "secrets"), JSON.stringify(claim), { timeout: 5000 })).pipe(
          // The scheduler may be away for a while,
          Effect.retry({ schedule: Schedule.spaced("500 millis"), times: 240 }),
          Effect.flatMap((message) => {
            const answer = message.json<{ secrets?: Record<string, string> }>()
            return answer.secrets === undefined
              ? Effect.fail(new WorkUnavailable({ message: "the scheduler refuses the secrets of this job" }))
              : Effect.succeed(new Map(Object.entries(answer.secrets)))
          }),
          // or may not yet have taken in that the job has begun.
          Effect.retry({ schedule: Schedule.spaced("500 millis"), times: 20 })
        ),
      filePart: (claim, wanted) =>
        attempt(() => nc.request(workerSubject(speaker, "files"), JSON.stringify({ claim, ...wanted }), { timeout: 10_000 })).pipe(
          // As with secrets.
          Effect.retry({ schedule: Schedule.spaced("500 millis"), times: 240 }),
          Effect.flatMap((message): Effect.Effect<Uint8Array | "gone", WorkUnavailable> => {
            if (message.headers?.get(partHeader) === String(wanted.index)) return Effect.succeed(message.data)
            return message.string() === "gone"
              ? Effect.succeed("gone")
              : Effect.fail(new WorkUnavailable({ message: "the scheduler refuses the files of this job" }))
          }),
          Effect.retry({ schedule: Schedule.spaced("500 millis"), times: 20 })
        ),
      documents: (claim, manifest) =>
        attempt(() => nc.request(workerSubject(speaker, "documents"), JSON.stringify({ claim, manifest }), { timeout: 30_000 })).pipe(
          // As with secrets.
          Effect.retry({ schedule: Schedule.spaced("500 millis"), times: 240 }),
          Effect.flatMap((message) => unpacked(message.data)),
          Effect.mapError(() => new WorkUnavailable({ message: "the scheduler signs nothing of this image" })),
          Effect.retry({ schedule: Schedule.spaced("500 millis"), times: 20 })
        ),
      answer: (id, answer) => Effect.map(packedAnswer(answer), (bytes) => {
        if (!nc.isClosed()) nc.publish(errandSubject(speaker, id), bytes)
      }),
      progress: (claim, progress) =>
        say(feedSubject(speaker, "progress", claim.tenantId, claim.composeId, claim.jobId),
          JSON.stringify({ attempt: claim.attempt, token: claim.token, at: Date.now(), progress })),
      lines: (claim, lines) =>
        say(feedSubject(speaker, "log", claim.tenantId, claim.composeId, claim.jobId),
          JSON.stringify({ attempt: claim.attempt, token: claim.token, at: Date.now(), lines }))
    })
  }))

const controlOf = (text: string): Control | undefined => {
  const claim = decodeClaim(text)
  if (Exit.isSuccess(claim)) return { _tag: "Stop", claim: claim.value, canceled: Exit.isSuccess(decodeCanceled(text)) }
  const sent = errandIn(text)
  if (sent !== undefined) return { _tag: "Errand", id: sent.errandId, errand: sent.errand }
  const discard = decodeDiscard(text)
  return Exit.isSuccess(discard) ? { _tag: "Discard", digest: discard.value.discard } : undefined
}

/** The queue is made when this worker is first heard of. A queue that is gone, or a server that was, is asked anew. */
const jobs = (js: JetStreamClient, speaker: Speaker): Stream.Stream<JobDelivery, WorkUnavailable> =>
  Stream.unwrap(Effect.gen(function*() {
    const messages = yield* Effect.acquireRelease(
      attempt(async () => (await js.consumers.get("JOBS", queueConsumer(speaker))).consume({ max_messages: 64, ...attentive, abort_on_missing_resource: true })),
      // What it answers with waits for whoever iterates, and who is let go of before the first pull never does.
      (messages: ConsumerMessages) => Effect.sync(() => void messages.close())
    )
    return Stream.fromAsyncIterable(messages, unavailable).pipe(
      Stream.mapEffect((message) => delivered(message, speaker)),
      Stream.filter((delivery) => delivery !== undefined)
    )
  })).pipe(
    Stream.concat(Stream.fail(new WorkUnavailable({ message: "the queue is gone" }))),
    Stream.retry(Schedule.spaced("250 millis"))
  )

const delivered = (message: JsMsg, speaker: Speaker): Effect.Effect<JobDelivery | undefined> => {
  const item = decodeItem(message.string())
  // It comes again until it counts as undeliverable, and operators see it then.
  if (Exit.isFailure(item)) return Effect.as(Effect.logError("a job cannot be read", { cause: item.cause }), undefined)
  if (item.value.speaker !== speakerKey(speaker)) {
    message.term("for another worker")
    return Effect.as(Effect.logError("a job on this queue is for another worker", { speaker: item.value.speaker }), undefined)
  }
  return Effect.succeed({ item: item.value, acknowledge: Effect.sync(() => message.ack()) })
}
