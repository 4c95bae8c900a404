/**
 * The second half of quotas: what has ended is settled, what failed by the platform's fault is released, and so is what was
 * reserved and never requested. Fed with every entry of the log in order; how far it has come is in a snapshot of its own.
 */
import { Clock, Effect, HashMap, Option, Queue, Schedule, Schema, Stream } from "effect"
import { v7 } from "uuid"
import { type Ending, SettleQuota } from "../../domain/account.ts"
import { ComposeCanceled } from "../../domain/compose-events.ts"
import { endingOf, isEnd, neverRequested } from "../../domain/compose-ending.ts"
import { ComposeId, Millis, TenantId } from "../../domain/ids.ts"
import { type EndedCompose, OpenReservations } from "../../domain/open-reservations.ts"
import { isOfPeriod } from "../../domain/periods.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { Snapshots } from "../../domain/ports/snapshots.ts"
import { accountRef, composeRef, type LogEntry } from "../../domain/recorded.ts"
import { Accounts } from "../accounts.ts"
import { readCompose } from "../read-compose.ts"
import { freeBytes, freesBytes } from "./free-bytes.ts"

export interface SettlerOptions {
  /** Up to where the caller has taken in the log; what comes after is given to `record`. */
  readonly positions: Readonly<Record<string, number>>
  /** Whether a tenant's stored bytes are limited. */
  readonly countsBytes: (tenantId: TenantId) => boolean
  readonly overdueMs?: number
  readonly sweepEveryMs?: number
}

export interface QuotaSettler {
  /** Returns at once. */
  record(entry: LogEntry): void
  /** Works for ever. */
  readonly run: Effect.Effect<never, never, Accounts | EventLog | Snapshots>
}

interface Freed {
  readonly tenantId: TenantId
  readonly composeId: ComposeId
}

const snapshotName = "quota"
const saveEvery = "30 seconds"
const actor = { kind: "system", id: "scheduler" } as const

const Snapshot = Schema.fromJsonString(Schema.Struct({
  version: Schema.Literal(1),
  positions: Schema.Record(Schema.String, Schema.Int),
  open: Schema.Array(Schema.Tuple([TenantId, ComposeId, Millis, Schema.Boolean]))
}))
const encode = Schema.encodeSync(Snapshot)
const decode = Schema.decodeUnknownOption(Snapshot)

const patiently = <A, E extends { readonly message: string }, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, never, R> =>
  effect.pipe(Effect.tapError(({ message }) => Effect.logWarning("quota waits to be settled", { error: message })),
    Effect.retry(Schedule.spaced("1 second")), Effect.orDie)

/** A reservation waits five minutes for its compose; after that the compose cannot be requested any more. */
export const quotaSettler = ({ countsBytes, overdueMs = 5 * 60_000, positions: fed, sweepEveryMs = 15_000 }: SettlerOptions): Effect.Effect<QuotaSettler> =>
  Effect.gen(function*() {
    const inbox = yield* Queue.unbounded<LogEntry>()
    const positions: Record<string, number> = {}
    let open = new OpenReservations()

    const takeIn = Effect.fnUntraced(function*(entries: ReadonlyArray<LogEntry>) {
      const ends: Array<EndedCompose> = []
      const freed: Array<Freed> = []
      for (const entry of entries) {
        if (entry._tag === "Unreadable" || entry.position.sequence <= (positions[entry.position.stream] ?? 0)) continue
        const end = open.record(entry, countsBytes)
        if (end !== undefined) ends.push(end)
        if (countsBytes(entry.tenantId) && freesBytes(entry)) freed.push({ tenantId: entry.tenantId, composeId: entry.id as ComposeId })
      }
      yield* Effect.forEach(Map.groupBy(ends, ({ tenantId }) => tenantId), ([tenantId, own]) => patiently(settle(tenantId, own)),
        { concurrency: 16, discard: true })
      // What was stored has been counted by now.
      yield* Effect.forEach(freed, ({ composeId, tenantId }) => patiently(freeBytes(tenantId, composeId)), { discard: true })
      for (const { position: { sequence, stream } } of entries) positions[stream] = Math.max(sequence, positions[stream] ?? 0)
    })

    const restore = Effect.gen(function*() {
      const [text] = yield* Effect.orElseSucceed(Stream.runCollect((yield* Snapshots).load(snapshotName)), () => [])
      const saved = text === undefined ? undefined : Option.getOrUndefined(decode(text))
      open = new OpenReservations(saved?.open.map(([tenantId, composeId, at, requested]) => [tenantId, composeId, { at, requested }]))
      Object.assign(positions, saved?.positions)
    })

    /** The caller may have come further than this when all stopped. */
    const catchUp = Effect.fnUntraced(function*(stream: string) {
      const to = fed[stream] ?? 0
      const log = yield* EventLog
      if ((positions[stream] ?? 0) >= to) return
      yield* Effect.suspend(() => Stream.runForEachArray(log.scan(stream, { after: positions[stream] ?? 0, upTo: to }), takeIn)).pipe(patiently)
    })

    const suspects = new Map<ComposeId, Readonly<Record<string, number>>>()

    /** Twice looked at: what was in the log at the first look has been taken in at the second. */
    const sweep = Effect.gen(function*() {
      const log = yield* EventLog
      const overdue = [...open.overdue((yield* Clock.currentTimeMillis) - overdueMs)]
      if (overdue.length === 0) return suspects.clear()
      const heads = Object.fromEntries(yield* Effect.forEach(log.streams, (stream) => Effect.map(log.head(stream), (head) => [stream, head] as const)))
      for (const [tenantId, composeId] of overdue) {
        const before = suspects.get(composeId)
        if (before === undefined) suspects.set(composeId, heads)
        else if (Object.entries(before).every(([stream, head]) => (positions[stream] ?? 0) >= head)) {
          suspects.delete(composeId)
          yield* giveUp(tenantId, composeId)
        }
      }
    }).pipe(Effect.catch(({ message }) => Effect.logWarning("reservations cannot be looked through", { error: message })))

    const save = Effect.suspend(() => {
      const entries = [...open.entries()].map(([tenantId, composeId, { at, requested }]) => [tenantId, composeId, at, requested] as const)
      const text = encode({ version: 1, positions: { ...positions }, open: entries })
      return Effect.flatMap(Snapshots, (snapshots) => snapshots.save(snapshotName, [text]))
    }).pipe(Effect.catch(({ message }) => Effect.logWarning(message)))

    const work = Effect.gen(function*() {
      yield* restore
      // Reservations are in the last of them: an end must not be heard before what it is the end of.
      yield* Effect.forEach((yield* EventLog).streams.toReversed(), catchUp, { discard: true })
      const taking = Effect.flatMap(Queue.takeBetween(inbox, 1, 1000), takeIn).pipe(Effect.forever)
      const sweeping = sweep.pipe(Effect.delay(sweepEveryMs), Effect.forever)
      const saving = save.pipe(Effect.delay(saveEvery), Effect.forever)
      return yield* Effect.all([taking, sweeping, saving], { concurrency: "unbounded" }).pipe(Effect.andThen(Effect.never), Effect.onExit(() => save))
    })

    return { record: (entry) => void Queue.offerUnsafe(inbox, entry), run: work }
  })

const settle = Effect.fn("settleQuota")(function*(tenantId: TenantId, ends: ReadonlyArray<EndedCompose>) {
  const endings = yield* Effect.forEach(ends, (end) => endingAt(end), { concurrency: 8 })
  yield* settled(tenantId, endings)
})

const settled = Effect.fnUntraced(function*(tenantId: TenantId, endings: ReadonlyArray<Ending>) {
  const at = Millis.make(yield* Clock.currentTimeMillis)
  // Not by a number in the log: what is settled a second time is known by the account, which also knows what it lacks.
  yield* (yield* Accounts).execute({ tenantId, messageId: v7(), at, actor }, SettleQuota.make({ endings }))
})

const endingAt = Effect.fnUntraced(function*({ composeId, position: { sequence, stream }, revision, tenantId }: EndedCompose) {
  const { recorded } = yield* readCompose(tenantId, composeId)
  const { abandoned, byPlatform, bytes } = endingOf(recorded.filter((each) => each.revision <= revision).flatMap(({ events }) => events))
  const release = abandoned ? "never-requested" : byPlatform ? "platform-failure" : undefined
  return { composeId, bytes, sequence, ...(isOfPeriod(stream) && { stream }), ...(release !== undefined && { release }) } satisfies Ending
})

/** Takes the compose's first revision, so that no request can come after; being its end, it is settled like any other. */
const giveUp = Effect.fnUntraced(function*(tenantId: TenantId, composeId: ComposeId) {
  const decision = {
    messageId: `never-${composeId}`, at: Millis.make(yield* Clock.currentTimeMillis), actor,
    events: [ComposeCanceled.make({ composeId, reason: neverRequested })] as const
  }
  yield* (yield* EventLog).append(composeRef(tenantId, composeId), 0, decision).pipe(
    Effect.asVoid,
    Effect.catchTag("WrongRevision", () => reservedLate(tenantId, composeId)))
})

/**
 * It was there before its reservation was heard of. If nobody has settled that compose, its end was heard too early, from
 * another stream; else a second request with the same key has reserved once more, and nobody will settle that.
 */
const reservedLate = Effect.fnUntraced(function*(tenantId: TenantId, composeId: ComposeId) {
  const { compose, recorded } = yield* readCompose(tenantId, composeId)
  if (compose.status === "open") return
  const { open } = yield* (yield* Accounts).read(tenantId)
  if (!HashMap.has(open, composeId)) return
  const isSettled = yield* wasSettled(tenantId, composeId)
  const end = recorded.findLast(({ events }) => events.some(isEnd))
  yield* settled(tenantId, [isSettled || end === undefined
    ? { composeId, bytes: 0, sequence: 0, release: "never-requested" }
    : yield* endingAt({ tenantId, composeId, revision: end.revision, position: end.position })])
})

const wasSettled = Effect.fnUntraced(function*(tenantId: TenantId, composeId: ComposeId) {
  const { recorded } = yield* (yield* EventLog).read(accountRef(tenantId))
  return recorded.flatMap(({ events }) => events).some((event) =>
    event._tag === "QuotaReleased" ? event.composeIds.includes(composeId)
      : event._tag === "QuotaSettled" && event.composes.some((each) => each.composeId === composeId))
})
