/** What running attempts say, from the PROGRESS and LOGS streams. */
import type { BatchCallback, StoredMsg } from "@nats-io/jetstream"
import { Effect, Exit, Layer, Schema, Scope } from "effect"
import { AttemptToken, type ComposeId, JobId, Millis, type TenantId } from "../../domain/ids.ts"
import { LogUnavailable } from "../../domain/ports/event-log.ts"
import { type FeedItem, JobFeed, type LogLines, type Missed, missedAnything, type PageOfLines, type ProgressReport } from "../../domain/ports/job-feed.ts"
import { type Nats, WorkNats } from "./nats.ts"
import { reconnections, rereading } from "./resending.ts"
import { ensureWorkStreams, livePrefix } from "./streams.ts"
import { feedFilter, tenantFeed } from "./work-subjects.ts"

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

type Listener = (said: FeedItem | Missed) => void

export const JobFeedJetStream = ({ replicas }: { readonly replicas: number }) =>
  Layer.effect(JobFeed, Effect.gen(function*() {
    const nats = yield* WorkNats
    yield* ensureWorkStreams(nats.jsm, replicas)
    const all = new Map<TenantId, ReturnType<typeof earsFor>>()
    const reconnected = reconnections(nats.nc)
    yield* Effect.promise(() => reconnected.next()).pipe(
      // A server that has started anew has lost the stream that it kept in memory, and answers only when it has read the others.
      Effect.andThen(Effect.catch(ensureWorkStreams(nats.jsm, replicas), ({ message }) => Effect.logWarning(message))),
      Effect.andThen(Effect.sync(() => all.forEach((ears) => ears.tellAll(missedAnything)))),
      Effect.forever, Effect.forkScoped)

    const reread = rereading(nats.nc)
    const ask = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: () => reread(run), catch: unavailable })
    return JobFeed.of({
      recent: (tenantId, composeId, after) => ask(() => recent(nats, tenantId, composeId, after)),
      lines: (tenantId, composeId, after, since) => ask(() => lines(nats, tenantId, composeId, after, since)),
      progress: (tenantId, composeId) => ask(() => progress(nats, tenantId, composeId)),
      hear: Effect.fnUntraced(function*(tenantId, composeId, listener) {
        const ears = all.get(tenantId) ?? earsFor(nats, tenantId)
        all.set(tenantId, ears)
        ears.add(composeId, listener)
        // Said to the scope itself, which keeps nothing else of who asks: there are thousands of these.
        yield* Scope.addFinalizer(yield* Effect.scope, Effect.sync(() => {
          if (ears.remove(composeId, listener) === 0) all.delete(tenantId)
        }))
        yield* ask(() => nats.nc.flush())
      })
    })
  }))

/**
 * A tenant's composes are heard together: a subscription takes more memory than what it brings. Each message says which was
 * kept before it on its subject: what comes out of turn tells what is missing.
 */
const earsFor = (nats: Nats, tenantId: TenantId) => {
  const composes = new Map<string, Set<Listener>>()
  const newest = new Map<string, number>()
  const tell = (composeId: string, said: FeedItem | Missed) => {
    for (const listener of composes.get(composeId) ?? []) listener(said)
  }
  const subscriptions = [
    nats.nc.subscribe(`${livePrefix}.${tenantFeed("log", tenantId)}`, {
      callback: (_, message) => {
        const composeId = composeOf(message.subject)
        if (!composes.has(composeId)) return
        const [sequence, before] = ["Nats-Sequence", "Nats-Last-Sequence"].map((name) => Number(message.headers?.get(name) ?? 0)) as [number, number]
        if (before > 0 && newest.get(message.subject) !== before) tell(composeId, { _tag: "Missed", upTo: before })
        newest.set(message.subject, sequence)
        const item = toItem(message.subject, sequence, message.string())
        if (item !== undefined) tell(composeId, item)
      }
    }),
    nats.nc.subscribe(tenantFeed("progress", tenantId), {
      callback: (_, message) => {
        const composeId = composeOf(message.subject)
        const item = composes.has(composeId) ? toItem(message.subject, 0, message.string()) : undefined
        if (item !== undefined) tell(composeId, item)
      }
    })
  ]
  return {
    add: (composeId: ComposeId, listener: Listener) => {
      composes.set(composeId, (composes.get(composeId) ?? new Set()).add(listener))
    },
    /** How many composes are listened to still. */
    remove: (composeId: ComposeId, listener: Listener): number => {
      const listeners = composes.get(composeId)
      listeners?.delete(listener)
      if (listeners?.size === 0) {
        composes.delete(composeId)
        for (const subject of newest.keys()) if (composeOf(subject) === composeId) newest.delete(subject)
      }
      if (composes.size === 0) for (const subscription of subscriptions) subscription.unsubscribe()
      return composes.size
    },
    tellAll: (said: Missed) => {
      for (const composeId of composes.keys()) tell(composeId, said)
    }
  }
}

/** `….<compose>.<job>` */
const composeOf = (subject: string): string => {
  const end = subject.lastIndexOf(".")
  return subject.slice(subject.lastIndexOf(".", end - 1) + 1, end)
}

const recent = async (nats: Nats, tenantId: TenantId, composeId: ComposeId, after: number): Promise<ReadonlyArray<FeedItem>> => {
  const items: Array<FeedItem> = []
  for (let next = after;;) {
    const page = await lines(nats, tenantId, composeId, next)
    items.push(...page.lines)
    if (!page.more) return [...items, ...await progress(nats, tenantId, composeId)]
    next = page.lines.at(-1)!.sequence
  }
}

/** The server stops after as many bytes; one message more may come. */
const pageBytes = 512 * 1024
const batch = 500

/** From the time of the first line on, the server need not look through what others have said before. */
const lines = async (nats: Nats, tenantId: TenantId, composeId: ComposeId, after: number, since?: number): Promise<PageOfLines> => {
  const found: Array<LogLines> = []
  const next_by_subj = feedFilter("log", tenantId, composeId)
  for (let [next, more] = [after + 1, true];;) {
    const start = next === 1 && since !== undefined ? { start_time: new Date(since) } : { seq: next }
    more = false
    await each((callback) => nats.jsm.direct.getBatch("LOGS", { ...start, next_by_subj, batch, max_bytes: pageBytes, callback }), (message) => {
      const item = toItem(message.subject, message.seq, message.string())
      if (item?._tag === "LogLines") found.push(item)
      next = message.seq + 1
      more = (message as StoredMsg & { readonly pending: number }).pending > 0
    })
    // A page of what cannot be read is not the last one.
    if (found.length > 0 || !more) return { lines: found, more }
  }
}

const progress = async (nats: Nats, tenantId: TenantId, composeId: ComposeId): Promise<ReadonlyArray<ProgressReport>> => {
  const items: Array<ProgressReport> = []
  await each((callback) => nats.jsm.direct.getLastMessagesFor("PROGRESS", { multi_last: [feedFilter("progress", tenantId, composeId)], callback }), (message) => {
    const item = toItem(message.subject, message.seq, message.string())
    if (item?._tag === "ProgressReport") items.push(item)
  }, [notFound, nobodyThere])
  return items
}

/** The server says "not found" instead of giving none, before the first message or in its place. */
const notFound = 404
/** It has lost the stream, and nobody has made it again yet. */
const nobodyThere = 503

/** By callback, for then the client gives its subscription up when all has come; else it would keep it for five seconds more. */
const each = (
  ask: (callback: BatchCallback<StoredMsg>) => Promise<unknown>, use: (message: StoredMsg) => void, nothing: ReadonlyArray<number | undefined> = [notFound]
): Promise<void> =>
  new Promise((resolve, reject) => {
    ask((done, message) => {
      if (done === null) return use(message)
      if (done.err === undefined || nothing.includes((done.err as { code?: number }).code)) resolve()
      else reject(done.err)
    }).catch(reject)
  })
