/** Knows every copy that lies somewhere and where deliveries went, and has copies removed whose time is over. */
import { Clock, Effect, Metric, Option, Queue, Schedule, Schema, Stream } from "effect"
import { v7 } from "uuid"
import { RemoveCopy } from "../../domain/compose-commands.ts"
import { Spared } from "../../domain/copy-removal.ts"
import { ComposeId, Digest, type JobId, JobId as JobIdSchema, Millis, TenantId } from "../../domain/ids.ts"
import { type ComposeCopies, LiveCopies } from "../../domain/live-copies.ts"
import { Places } from "../../domain/places.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { Snapshots } from "../../domain/ports/snapshots.ts"
import type { PipelineWords } from "../../domain/pipeline-copies.ts"
import type { Retention } from "../../domain/policy.ts"
import type { LogEntry } from "../../domain/recorded.ts"
import { type Expired, expired } from "../../domain/retention.ts"
import { CloudTarget, TargetType } from "../../domain/target.ts"
import { execute } from "../execute.ts"
import { copies as copiesGauge, expiredCopies } from "./metrics.ts"

export interface KeeperOptions {
  /** Up to where the caller has taken in the log; what comes after is given to `record`. */
  readonly positions: Readonly<Record<string, number>>
  readonly retentionOf: (tenantId: TenantId) => Retention
  readonly everyMs: number
  readonly pipelines?: PipelineWords
}

export interface CopiesKeeper {
  /** Returns at once. */
  record(entry: LogEntry): void
  /** When an image was put into Kiln's own store, if nobody else refers to it; nothing while that is not known. */
  storedAlone(composeId: ComposeId, removal: JobId): number | undefined
  /** Where deliveries went; nothing while that is not known. */
  readonly places: () => Places | undefined
  /** What of a tenant's would go now; with `now` it does. Nothing while that is not known. */
  expired(tenantId: TenantId, now: boolean): ReadonlyArray<Expired> | undefined
  /** Works for ever. */
  readonly run: Effect.Effect<never, never, EventLog | Snapshots>
}

const snapshotName = "copies"
const saveEvery = "5 minutes"
const mostAtOnce = 500
const actor = { kind: "system", id: "scheduler" } as const

const optional = Schema.optionalKey
const Head = Schema.fromJsonString(Schema.Struct({ version: Schema.Literal(2), positions: Schema.Record(Schema.String, Schema.Int) }))
const Line = Schema.fromJsonString(Schema.Struct({
  tenantId: TenantId,
  composeId: ComposeId,
  ended: optional(Schema.Struct({ at: Schema.Int, succeeded: Schema.Boolean, spared: optional(Spared) })),
  copies: Schema.Array(Schema.Struct({
    jobId: JobIdSchema, type: TargetType, digest: Digest, bytes: Schema.Int,
    at: Schema.Int, condemned: Schema.Boolean, failedAt: optional(Schema.Int)
  }))
}))
const PlaceLine = Schema.fromJsonString(Schema.Struct({ tenantId: TenantId, target: CloudTarget, at: Schema.Int }))
const decodePlace = Schema.decodeUnknownOption(PlaceLine)
const decodeHead = Schema.decodeUnknownOption(Head)
const decodeLine = Schema.decodeUnknownOption(Line)

const patiently = <A, E extends { readonly message: string }, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, never, R> =>
  effect.pipe(Effect.tapError(({ message }) => Effect.logWarning("copies wait to be looked through", { error: message })),
    Effect.retry(Schedule.spaced("1 second")), Effect.orDie)

export const copiesKeeper = ({ everyMs, pipelines, positions: fed, retentionOf }: KeeperOptions): Effect.Effect<CopiesKeeper> =>
  Effect.gen(function*() {
    const asked = yield* Queue.unbounded<TenantId>()
    let copies = new LiveCopies()
    let places = new Places()
    let positions: Record<string, number> = {}
    /** What came before all of earlier was known. */
    let early: Array<LogEntry> | undefined = []

    const takeIn = (entry: LogEntry) => {
      if (entry.position.sequence <= (positions[entry.position.stream] ?? 0)) return
      positions[entry.position.stream] = entry.position.sequence
      if (entry._tag !== "Recorded" || entry.aggregate !== "compose") return
      copies.record(entry)
      places.record(entry)
    }

    const restore = Effect.gen(function*() {
      const [first, ...lines] = yield* Effect.orElseSucceed(Stream.runCollect((yield* Snapshots).load(snapshotName)), () => [])
      const head = first === undefined ? undefined : Option.getOrUndefined(decodeHead(first))
      const known = lines.map((line) => Option.getOrUndefined(Option.orElse(decodeLine(line), () => decodePlace(line))))
      if (head === undefined || known.includes(undefined)) return
      positions = { ...head.positions }
      copies = new LiveCopies()
      places = new Places()
      for (const each of known) {
        if ("composeId" in each!) copies.set(each)
        else places.set(each!)
      }
    })

    /** The caller may have come further than this when all stopped. */
    const catchUp = Effect.fnUntraced(function*(stream: string) {
      const to = fed[stream] ?? 0
      const log = yield* EventLog
      if ((positions[stream] ?? 0) >= to) return
      yield* Effect.suspend(() => Stream.runForEachArray(log.scan(stream, { after: positions[stream] ?? 0, upTo: to }),
        (entries) => Effect.sync(() => entries.forEach(takeIn)))).pipe(patiently)
    })

    const due = (tenantId: TenantId, composes: Iterable<ComposeCopies>, now: number) => expired(composes, retentionOf(tenantId), now, pipelines)
    const ofTenant = (tenantId: TenantId) => [...copies.values()].filter((compose) => compose.tenantId === tenantId)

    const remove = Effect.fnUntraced(function*({ composeId, image, pipeline, target, tenantId }: Expired) {
      // Since the sweep began it may have become the one that its pipeline's name stands for.
      if (pipeline !== undefined && pipelines?.(tenantId, pipeline, composeId) === "stays") return
      const at = Millis.make(yield* Clock.currentTimeMillis)
      yield* execute({ tenantId, messageId: v7(), at, actor }, RemoveCopy.make({ composeId, image, target, reason: "retention" }))
      yield* Metric.update(expiredCopies, 1)
    }, Effect.catch((error) => Effect.logWarning("a copy whose time is over could not be removed", { error: error.message })))

    /** Few at a time: a policy that was just tightened may mean thousands. */
    const sweep = (composes: Iterable<ComposeCopies>) =>
      Effect.gen(function*() {
        const now = yield* Clock.currentTimeMillis
        const all = [...Map.groupBy(composes, ({ tenantId }) => tenantId)].flatMap(([tenantId, own]) => due(tenantId, own, now))
        yield* Effect.forEach(all.slice(0, mostAtOnce), remove, { concurrency: 8, discard: true })
        yield* Metric.update(copiesGauge, copies.size)
      })

    let savedAt = ""
    const save = Effect.suspend(() => {
      const at = JSON.stringify(positions)
      if (early !== undefined || at === savedAt) return Effect.void
      const lines = [JSON.stringify({ version: 2, positions }), ...Array.from([...copies.values(), ...places.values()], (each) => JSON.stringify(each))]
      return Effect.andThen(Effect.flatMap(Snapshots, (snapshots) => snapshots.save(snapshotName, lines)), Effect.sync(() => savedAt = at))
    }).pipe(Effect.catch(({ message }) => Effect.logWarning(message)))

    const run = Effect.gen(function*() {
      yield* restore
      yield* Effect.forEach((yield* EventLog).streams, catchUp, { discard: true })
      for (const entry of early ?? []) takeIn(entry)
      early = undefined
      const sweeping = Effect.suspend(() => sweep(copies.values())).pipe(Effect.delay(everyMs), Effect.forever)
      const answering = Queue.take(asked).pipe(Effect.flatMap((tenantId) => sweep(ofTenant(tenantId))), Effect.forever)
      const saving = save.pipe(Effect.delay(saveEvery), Effect.forever)
      return yield* Effect.all([sweeping, answering, saving], { concurrency: "unbounded" }).pipe(Effect.andThen(Effect.never), Effect.onExit(() => save))
    })

    return {
      record: (entry) => early === undefined ? takeIn(entry) : void early.push(entry),
      storedAlone: (composeId, removal) => early === undefined ? copies.storedAlone(composeId, removal) : undefined,
      places: () => early === undefined ? places : undefined,
      expired: (tenantId, now) => {
        if (early !== undefined) return undefined
        if (now) Queue.offerUnsafe(asked, tenantId)
        return due(tenantId, ofTenant(tenantId), Date.now())
      },
      run
    }
  })
