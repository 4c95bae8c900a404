/** Looks after pipelines: knows all of them, wakes for what is due, and for composes that end. */
import { Effect, Fiber, Metric, Option, Queue, Schedule, Schema, Stream } from "effect"
import { isEnd } from "../../domain/compose-ending.ts"
import { type ComposeId, PipelineName, TenantId } from "../../domain/ids.ts"
import type { PipelineWords } from "../../domain/pipeline-copies.ts"
import type { Pipeline } from "../../domain/pipeline.ts"
import { Pipelines } from "../../domain/pipelines.ts"
import type { Policy } from "../../domain/policy.ts"
import type { Blobs } from "../../domain/ports/blobs.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { Snapshots } from "../../domain/ports/snapshots.ts"
import type { LogEntry } from "../../domain/recorded.ts"
import type { Accounts } from "../accounts.ts"
import { advancePipeline } from "./advance-pipeline.ts"
import { pipelines as pipelinesGauge } from "./metrics.ts"

export interface PipelinesOptions {
  /** Up to where the caller has taken in the log; what comes after is given to `record`. */
  readonly positions: Readonly<Record<string, number>>
  readonly isHeld: () => boolean
  /** With what operators have set, and by the policy file alone. */
  readonly policyOf: (tenantId: TenantId) => { readonly policy: Policy; readonly standing: Policy }
}

export interface PipelinesKeeper {
  /** Returns at once. */
  record(entry: LogEntry): void
  /** What pipelines say of copies; while they are not known, all that may be one's stays. */
  readonly words: PipelineWords
  /** Works for ever. */
  readonly run: Effect.Effect<never, never, Accounts | Blobs | EventLog | Snapshots>
}

const snapshotName = "pipelines"
const saveEvery = "5 minutes"
const loadWithin = "10 seconds"
const againAfterMs = 1000
/** Timers of a process are no longer than some weeks. */
const longestSleepMs = 3_600_000
const atOnce = 8

const Head = Schema.fromJsonString(Schema.Struct({ version: Schema.Literal(1), positions: Schema.Record(Schema.String, Schema.Int) }))
const Line = Schema.fromJsonString(Schema.Struct({ tenantId: TenantId, name: PipelineName, revision: Schema.Int, pipeline: Schema.Unknown }))
const [decodeHead, decodeLine] = [Schema.decodeUnknownOption(Head), Schema.decodeUnknownOption(Line)]

const patiently = <A, E extends { readonly message: string }, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, never, R> =>
  effect.pipe(Effect.tapError(({ message }) => Effect.logWarning("pipelines wait to be read", { error: message })), Effect.retry(Schedule.spaced("1 second")), Effect.orDie)

export const pipelinesKeeper = ({ isHeld, policyOf, positions: fed }: PipelinesOptions): Effect.Effect<PipelinesKeeper> =>
  Effect.gen(function*() {
    const wake = yield* Queue.sliding<true>(1)
    let pipelines = new Pipelines()
    let positions: Record<string, number> = {}
    /** What came before all of earlier was known. */
    let early: Array<LogEntry> | undefined = []
    /** Who is to be looked at, and who when. */
    const dirty = new Set<string>()
    const alarms = new Map<string, number>()

    const rouse = (keys: Iterable<string>) => {
      for (const key of keys) dirty.add(key)
      if (dirty.size > 0) Queue.offerUnsafe(wake, true)
    }

    const takeIn = (entry: LogEntry) => {
      if (entry.position.sequence <= (positions[entry.position.stream] ?? 0)) return
      positions[entry.position.stream] = entry.position.sequence
      if (entry._tag !== "Recorded") return
      if (entry.aggregate === "pipeline") rouse([pipelines.record(entry)])
      else if (entry.aggregate === "compose") {
        const key = pipelines.awaiting(entry.id as ComposeId)
        if (key !== undefined && entry.events.some(isEnd)) rouse([key])
      } else if (entry.aggregate === "account" && entry.events.some(({ _tag }) => _tag !== "QuotaReserved")) rouse(pipelines.delayed(entry.tenantId))
    }

    const restore = Effect.gen(function*() {
      // One that is replaced while it is read may never come to its end, nor let itself be interrupted; the log has all of it.
      const loading = yield* Effect.forkDetach(Stream.runCollect((yield* Snapshots).load(snapshotName)))
      const [first, ...lines] = yield* Effect.orElseSucceed(Effect.timeout(Fiber.join(loading), loadWithin), (): ReadonlyArray<string> => [])
      const head = first === undefined ? Option.none() : decodeHead(first)
      const known = lines.map((line) => Option.getOrUndefined(decodeLine(line)))
      if (Option.isNone(head) || known.includes(undefined)) return
      positions = { ...head.value.positions }
      // They were written by `save` and nobody else.
      for (const each of known) pipelines.set({ ...each!, pipeline: each!.pipeline as Pipeline })
    })

    /** The caller may have come further than this when all stopped. Streams that end have none of these. */
    const catchUp = Effect.fnUntraced(function*(stream: string) {
      const log = yield* EventLog
      if (log.isSealed(stream)) return
      yield* Effect.suspend(() => log.scan(stream, { after: positions[stream] ?? 0, upTo: fed[stream] ?? 0 }).pipe(
        Stream.runForEachArray((entries) => Effect.sync(() => entries.forEach(takeIn)))
      )).pipe(patiently)
    })

    let savedAt = ""
    const save = Effect.suspend(() => {
      const at = JSON.stringify(positions)
      if (early !== undefined || at === savedAt) return Effect.void
      const lines = [JSON.stringify({ version: 1, positions }), ...Array.from(pipelines.values(), (each) => JSON.stringify(each))]
      return Effect.andThen(Effect.flatMap(Snapshots, (snapshots) => snapshots.save(snapshotName, lines)), Effect.sync(() => savedAt = at))
    }).pipe(Effect.catch(({ message }) => Effect.logWarning(message)))

    const advance = Effect.fnUntraced(function*(key: string) {
      const known = pipelines.get(key)
      if (known === undefined || !isHeld()) return
      const { name, tenantId } = known
      const { again, pipeline, revision } = yield* advancePipeline({ tenantId, name, ...policyOf(tenantId) })
      pipelines.set({ tenantId, name, pipeline, revision })
      if (again !== undefined) alarms.set(key, again)
    }, (effect, key) => Effect.catchCause(effect, (cause) => {
      alarms.set(key, Date.now() + againAfterMs)
      return Effect.logWarning("a pipeline waits", { pipeline: key }, cause)
    }))

    /** What was heard of while one is looked at is looked at again. */
    const round = Effect.gen(function*() {
      const now = Date.now()
      for (const [key, at] of alarms) if (at <= now) dirty.add(key)
      const keys = [...dirty]
      dirty.clear()
      for (const key of keys) alarms.delete(key)
      yield* Effect.forEach(keys, advance, { concurrency: atOnce, discard: true })
      yield* measure(pipelines)
      if (dirty.size > 0) return
      const next = [...alarms.values()].reduce((first, at) => Math.min(first, at), Infinity)
      yield* Queue.take(wake).pipe(Effect.timeoutOption(Math.max(0, Math.min(longestSleepMs, next - Date.now()))))
    })

    const run = Effect.gen(function*() {
      yield* restore
      yield* Effect.forEach((yield* EventLog).streams, catchUp, { discard: true })
      for (const entry of early ?? []) takeIn(entry)
      early = undefined
      rouse(pipelines.keys())
      return yield* Effect.all([Effect.forever(round), save.pipe(Effect.delay(saveEvery), Effect.forever)], { concurrency: "unbounded" }).pipe(
        Effect.andThen(Effect.never), Effect.onExit(() => save))
    })

    return {
      record: (entry) => early === undefined ? takeIn(entry) : void early.push(entry),
      words: (tenantId, name, composeId) => early === undefined ? pipelines.words(tenantId, name, composeId) : "stays",
      run
    }
  })

const measure = (all: Pipelines) => {
  const states = { active: 0, failing: 0, paused: 0, waiting: 0 }
  for (const { pipeline } of all.values()) {
    if (pipeline.status !== "declared") continue
    states[pipeline.paused !== undefined ? "paused" : pipeline.delayed !== undefined ? "waiting" : pipeline.failures > 0 ? "failing" : "active"] += 1
  }
  return Effect.forEach(Object.entries(states), ([state, count]) => Metric.update(Metric.withAttributes(pipelinesGauge, { state }), count), { discard: true })
}
