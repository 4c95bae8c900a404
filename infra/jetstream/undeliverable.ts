/** The server says when it has given a message up; it leaves the message where it lies, and so this has to be heard and looked for. */
import { Effect, Exit, Queue, Schedule, Schema, Stream } from "effect"
import { type Undeliverable, WorkUnavailable } from "../../domain/ports/work.ts"
import { WorkItem } from "../../domain/work.ts"
import type { Nats } from "./nats.ts"
import { queueOf } from "./work-subjects.ts"

/** When a message that nobody acknowledges comes again, and how often before it is given up. */
export interface Patience {
  readonly deliveries: Record<WorkQueue, number>
  readonly jobAckWaitMs: number
}
export const patience: Patience = { deliveries: { JOBS: 5, RESULTS: 120 }, jobAckWaitMs: 15_000 }
type WorkQueue = "JOBS" | "RESULTS"

interface Advisory {
  readonly stream: WorkQueue
  readonly stream_seq: number
  readonly deliveries: number
}

const decodeItem = Schema.decodeUnknownExit(Schema.fromJsonString(WorkItem))
const unavailable = (error: unknown) => new WorkUnavailable({ message: `the work queues do not answer: ${(error as Error).message}` })

/** What is said now, and every minute what was said while nobody listened: older than every delivery takes. */
export const undeliverable = (nats: Nats): Stream.Stream<Undeliverable, WorkUnavailable> =>
  Stream.merge(advisories(nats), overlooked(nats)).pipe(
    Stream.mapEffect((advisory) => Effect.tryPromise({ try: () => read(nats, advisory), catch: unavailable })),
    Stream.filter((found) => found !== undefined)
  )

const advisories = (nats: Nats) =>
  Stream.callback<Advisory>((emit) =>
    Effect.acquireRelease(
      Effect.sync(() => nats.nc.subscribe("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.*.*", {
        callback: (_, message) => {
          const advisory = message.json<Advisory>()
          if (advisory.stream in patience.deliveries) Queue.offerUnsafe(emit, advisory)
        }
      })),
      (subscription) => Effect.sync(() => subscription.unsubscribe())
    ))

const longestMs = { JOBS: patience.deliveries.JOBS * patience.jobAckWaitMs + 60_000, RESULTS: 10 * 60_000 } as const

const overlooked = (nats: Nats): Stream.Stream<Advisory, WorkUnavailable> =>
  Stream.fromEffectSchedule(Effect.tryPromise({ try: () => oldest(nats), catch: unavailable }), Schedule.spaced("1 minute")).pipe(Stream.flatMap(Stream.fromIterable))

/** At most the first of each queue: once it is dropped, the next look finds the next one. */
const oldest = async ({ jsm }: Nats): Promise<ReadonlyArray<Advisory>> => {
  const found: Array<Advisory> = []
  for (const stream of ["JOBS", "RESULTS"] as const) {
    const { state } = await jsm.streams.info(stream)
    const message = state.messages === 0 ? null : await jsm.direct.getMessage(stream, { seq: state.first_seq })
    if (message === null || Date.now() - message.time.getTime() < longestMs[stream]) continue
    if (stream === "RESULTS" && await isDelivered(jsm, message.seq) === false) continue
    found.push({ stream, stream_seq: message.seq, deliveries: patience.deliveries[stream] })
  }
  return found
}

/** A report that has waited for a scheduler was never given to one. */
const isDelivered = async (jsm: Nats["jsm"], sequence: number) =>
  (await jsm.consumers.info("RESULTS", "scheduler")).delivered.stream_seq >= sequence

const gone = new Set([10_037, 10_043, 10_057])

export const dropMessage = async (jsm: Nats["jsm"], stream: WorkQueue, sequence: number): Promise<void> => {
  await jsm.streams.deleteMessage(stream, sequence, false).catch((error: { readonly code?: number }) => {
    if (!gone.has(error.code ?? 0)) throw error
  })
}

const read = async ({ jsm }: Nats, { deliveries, stream, stream_seq: sequence }: Advisory): Promise<Undeliverable | undefined> => {
  const message = await jsm.direct.getMessage(stream, { seq: sequence }).catch(() => null)
  if (message === null) return undefined
  const text = message.string()
  const item = stream === "JOBS" ? decodeItem(text) : undefined
  return {
    what: stream === "JOBS" ? "job" : "report",
    lying: item !== undefined && Exit.isSuccess(item) ? { ...item.value, speaker: queueOf(message.subject), sequence } : undefined,
    subject: message.subject,
    text,
    deliveries,
    drop: Effect.tryPromise({ try: () => dropMessage(jsm, stream, sequence), catch: unavailable })
  }
}
