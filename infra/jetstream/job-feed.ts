/** What running attempts say, from the PROGRESS and LOGS streams. */
import type { StoredMsg } from "@nats-io/jetstream"
import { Effect, Exit, Layer, Queue, Schema, Stream } from "effect"
import { AttemptToken, type ComposeId, JobId, Millis, type TenantId } from "../../domain/ids.ts"
import { LogUnavailable } from "../../domain/ports/event-log.ts"
import { type FeedItem, JobFeed } from "../../domain/ports/job-feed.ts"
import { type Nats, WorkNats } from "./nats.ts"
import { ensureWorkStreams, livePrefix } from "./streams.ts"
import { feedFilter } from "./work-subjects.ts"

const from = { attempt: Schema.Int, token: AttemptToken, at: Millis }
const Lines = Schema.fromJsonString(Schema.Struct({ ...from, lines: Schema.Array(Schema.String) }))
const Report = Schema.fromJsonString(Schema.Struct({
  ...from,
  progress: Schema.Struct({
    stage: Schema.String,
    percent: Schema.Finite,
    bytesDone: Schema.optionalKey(Schema.Finite),
    bytesTotal: Schema.optionalKey(Schema.Finite),
    bytesPerSecond: Schema.optionalKey(Schema.Finite)
  })
}))
const decodeLines = Schema.decodeUnknownExit(Lines)
const decodeReport = Schema.decodeUnknownExit(Report)
const decodeJobId = Schema.decodeUnknownExit(JobId)

/** Workers are not trusted: what cannot be read is left out. */
const toItem = (subject: string, sequence: number, text: string): FeedItem | undefined => {
  const jobId = decodeJobId(subject.slice(subject.lastIndexOf(".") + 1))
  if (Exit.isFailure(jobId)) return undefined
  if (subject.includes(".log.")) {
    const lines = decodeLines(text)
    return Exit.isSuccess(lines) ? { _tag: "LogLines", jobId: jobId.value, sequence, ...lines.value } : undefined
  }
  const report = decodeReport(text)
  return Exit.isSuccess(report) ? { _tag: "ProgressReport", jobId: jobId.value, ...report.value } : undefined
}

const unavailable = (error: unknown) => new LogUnavailable({ message: `the job feed does not answer: ${(error as Error).message}` })

export const JobFeedJetStream = ({ replicas }: { readonly replicas: number }) =>
  Layer.effect(JobFeed, Effect.gen(function*() {
    const nats = yield* WorkNats
    yield* ensureWorkStreams(nats.jsm, replicas)
    return JobFeed.of({
      recent: (tenantId, composeId, after) =>
        Effect.tryPromise({ try: () => recent(nats, tenantId, composeId, after), catch: unavailable }),
      live: (tenantId, composeId) =>
        Stream.callback<FeedItem, LogUnavailable>((emit) =>
          Effect.acquireRelease(
            Effect.tryPromise({
              try: async () => {
                const listen = (subject: string) => nats.nc.subscribe(subject, {
                  callback: (_, message) => {
                    const sequence = Number(message.headers?.get("Nats-Sequence") ?? 0)
                    const item = toItem(message.subject, sequence, message.string())
                    if (item !== undefined) Queue.offerUnsafe(emit, item)
                  }
                })
                const subscriptions = [
                  listen(`${livePrefix}.${feedFilter("log", tenantId, composeId)}`),
                  listen(feedFilter("progress", tenantId, composeId))
                ]
                await nats.nc.flush()
                return subscriptions
              },
              catch: unavailable
            }),
            (subscriptions) => Effect.sync(() => subscriptions.forEach((subscription) => subscription.unsubscribe()))
          ), { bufferSize: 10_000, strategy: "sliding" })
    })
  }))

const recent = async (nats: Nats, tenantId: TenantId, composeId: ComposeId, after: number): Promise<ReadonlyArray<FeedItem>> => {
  const items: Array<FeedItem> = []
  const add = (message: StoredMsg) => {
    const item = toItem(message.subject, message.seq, message.string())
    if (item !== undefined) items.push(item)
  }
  const lines = feedFilter("log", tenantId, composeId)
  for (let next = after + 1, found = batch; found === batch;) {
    found = await each(nats.jsm.direct.getBatch("LOGS", { seq: next, next_by_subj: lines, batch }), (message) => {
      add(message)
      next = message.seq + 1
    })
  }
  await each(nats.jsm.direct.getLastMessagesFor("PROGRESS", { multi_last: [feedFilter("progress", tenantId, composeId)] }), add)
  return items
}

/** How many there were. The server says "not found" instead of giving none, before the first message or in its place. */
const each = async (messages: Promise<AsyncIterable<StoredMsg>>, use: (message: StoredMsg) => void): Promise<number> => {
  let count = 0
  try {
    for await (const message of await messages) {
      use(message)
      count += 1
    }
  } catch (error) {
    if ((error as { code?: number }).code !== 404) throw error
  }
  return count
}

const batch = 1000
