/** The worker's end of the work account: it pulls from consumers that others made, and speaks only below its own name. */
import { jetstream } from "@nats-io/jetstream"
import type { NatsConnection } from "@nats-io/transport-node"
import { Effect, Exit, Layer, Queue, Schedule, Schema, Stream } from "effect"
import { type Control, Workplace, WorkUnavailable } from "../../domain/ports/work.ts"
import { Claim, Heartbeat, type Speaker, WorkItem, WorkReport } from "../../domain/work.ts"
import { connection } from "./nats.ts"
import {
  controlSubject, feedSubject, inboxPrefix, queueConsumer, rollCallSubject, workerSubject
} from "./work-subjects.ts"

export interface WorkplaceConfig extends Speaker {
  readonly servers: string
  /** Asked at every connect, so that a renewed token is used as soon as the old one has run out. */
  readonly token: () => string
}

const unavailable = (error: unknown) => new WorkUnavailable({ message: `the work queues do not answer: ${(error as Error).message}` })
const attempt = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: unavailable })

const decodeItem = Schema.decodeUnknownExit(Schema.fromJsonString(WorkItem))
const decodeClaim = Schema.decodeUnknownExit(Schema.fromJsonString(Claim))
const encodeReport = Schema.encodeSync(Schema.fromJsonString(WorkReport))
const encodeHeartbeat = Schema.encodeSync(Schema.fromJsonString(Heartbeat))

export const WorkplaceJetStream = (config: WorkplaceConfig) =>
  Layer.effect(Workplace, Effect.gen(function*() {
    const speaker: Speaker = { pool: config.pool, worker: config.worker }
    const nc = yield* connection({
      servers: config.servers, name: config.worker, inboxPrefix: inboxPrefix(speaker), authenticator: () => ({ auth_token: config.token() })
    })
    const js = jetstream(nc, { timeout: 10_000 })
    const reconnected = reconnections(nc)
    const say = (subject: string, text: string) => {
      if (!nc.isClosed()) nc.publish(subject, text)
    }

    return Workplace.of({
      take: Effect.fn("Workplace.take")(function*(architecture, kind) {
        const name = queueConsumer({ pool: config.pool, architecture, kind })
        for (;;) {
          // A server that was away knows nothing of a pull from before: without asking anew, a job would lie there until it expires.
          const message = yield* attempt(async () => Promise.race([(await js.consumers.get("JOBS", name)).next({ expires: 30_000 }), reconnected.next()]))
          if (message === null) continue
          const item = decodeItem(message.string())
          if (Exit.isSuccess(item)) return { item: item.value, acknowledge: Effect.asVoid(attempt(() => message.ackAck())) }
          message.term("not a job")
          yield* Effect.logError("a job cannot be read and was dropped", { cause: item.cause })
        }
      }),
      report: (report) =>
        Effect.asVoid(attempt(() => js.publish(workerSubject(speaker, "result"), encodeReport(report), { msgID: reportId(speaker, report) }))),
      heartbeat: (heartbeat) => say(workerSubject(speaker, "heartbeat"), encodeHeartbeat(heartbeat)),
      control: Stream.callback<Control>((emit) =>
        Effect.acquireRelease(
          Effect.sync(() => [
            nc.subscribe(rollCallSubject, { callback: () => void Queue.offerUnsafe(emit, { _tag: "RollCall" }) }),
            nc.subscribe(controlSubject(speaker), {
              callback: (_, message) => {
                const claim = decodeClaim(message.string())
                if (Exit.isSuccess(claim)) Queue.offerUnsafe(emit, { _tag: "Stop", claim: claim.value })
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
      progress: (claim, progress) =>
        say(feedSubject(speaker, "progress", claim.tenantId, claim.composeId, claim.jobId),
          JSON.stringify({ attempt: claim.attempt, token: claim.token, at: Date.now(), progress })),
      lines: (claim, lines) =>
        say(feedSubject(speaker, "log", claim.tenantId, claim.composeId, claim.jobId),
          JSON.stringify({ attempt: claim.attempt, token: claim.token, at: Date.now(), lines }))
    })
  }))

/** `next` answers nothing when the connection has come back once more. */
const reconnections = (nc: NatsConnection) => {
  let next = Promise.withResolvers<null>()
  void (async () => {
    for await (const { type } of nc.status()) {
      if (type !== "reconnect") continue
      next.resolve(null)
      next = Promise.withResolvers()
    }
  })()
  return { next: () => next.promise }
}

const reportId = (speaker: Speaker, report: WorkReport): string =>
  report._tag === "SessionBegan"
    ? `${speaker.pool}/${speaker.worker}/${report.session}`
    : `${report.claim.composeId}/${report.claim.jobId}/${report.claim.token}/${report._tag}`
