/** A tenant's account: its policy as operators have set it, and what its composes have used of their quota. */
import { HashMap, Option, Result, Schema } from "effect"
import type { Decider } from "./decider.ts"
import { ComposeId, Millis } from "./ids.ts"
import { Policy, type WindowQuota } from "./policy.ts"

const Bytes = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Weighed = Schema.Struct({ composeId: ComposeId, bytes: Bytes })
const ReleaseReason = Schema.Literals(["platform-failure", "never-requested"])

// Stored for good: cases and optional fields may be added here, nothing renamed or removed.
export const AccountEvent = Schema.TaggedUnion({
  /** Takes the place of one set before; fields that it leaves out are those of the policy file. */
  PolicySet: { policy: Policy },
  PolicyCleared: {},
  /**
   * Composes that may be requested, all counting from `at`, each with the bytes that it may come to store.
   * `rememberMs`: the longest window of the policy; what is older need not be remembered.
   */
  QuotaReserved: { at: Millis, composes: Schema.NonEmptyArray(Weighed), rememberMs: Schema.Int },
  /**
   * Composes that have ended, with the bytes that they have stored since they were queued. `upTo`: the last end's place in the
   * log, in this stream of it if one is named.
   */
  QuotaSettled: { composes: Schema.NonEmptyArray(Weighed), upTo: Schema.Int, stream: Schema.optionalKey(Schema.String) },
  /** As if they had not been asked for. */
  QuotaReleased: { composeIds: Schema.NonEmptyArray(ComposeId), reason: ReleaseReason },
  /** Stored images are gone. */
  BytesFreed: { bytes: Bytes, composeId: Schema.optionalKey(ComposeId) }
})
export type AccountEvent = typeof AccountEvent.Type
export const { PolicySet, PolicyCleared, QuotaReserved, QuotaSettled, QuotaReleased, BytesFreed } = AccountEvent.cases

/** How a compose ended: what it has stored, whether it counts, and its end's place in the log; `stream`: a period's. */
const Ending = Schema.Struct({
  composeId: ComposeId, bytes: Bytes, release: Schema.optionalKey(ReleaseReason), sequence: Schema.Int, stream: Schema.optionalKey(Schema.String)
})
export type Ending = typeof Ending.Type

export const AccountCommand = Schema.TaggedUnion({
  SetPolicy: { policy: Policy },
  ClearPolicy: {},
  /** `standing`: the tenant's policy by the file. As many as fit are reserved, in their order; see `admission`. */
  ReserveQuota: { now: Millis, standing: Policy, composes: Schema.Array(Weighed) },
  /** In the order of the log. */
  SettleQuota: { endings: Schema.Array(Ending) },
  FreeBytes: { bytes: Bytes, composeId: Schema.optionalKey(ComposeId) }
})
export type AccountCommand = typeof AccountCommand.Type
export const { SetPolicy, ClearPolicy, ReserveQuota, SettleQuota, FreeBytes } = AccountCommand.cases

/** The rule that is full, and when it has room again; without `resetsAt` no time is known. */
export class QuotaExceeded extends Schema.TaggedError<QuotaExceeded>()("QuotaExceeded", {
  rule: Schema.Literals(["composes", "stored_bytes"]),
  limit: Schema.Int,
  used: Schema.Int,
  windowMs: Schema.optionalKey(Schema.Int),
  resetsAt: Schema.optionalKey(Millis)
}) {}

/** Composes that count from one moment on. */
export interface Moment {
  readonly at: Millis
  readonly count: number
}

export interface Reservation {
  readonly at: Millis
  readonly bytes: number
}

export interface Account {
  readonly override: Policy | undefined
  /** Reserved, and not heard of again yet. */
  readonly open: HashMap.HashMap<ComposeId, Reservation>
  readonly openBytes: number
  /** Oldest first; as far back as a window reaches. */
  readonly moments: ReadonlyArray<Moment>
  readonly storedBytes: number
  /** Ends of composes up to here have been taken in, by the stream of the period; `""` is the one that never ends. */
  readonly settledUpTo: Readonly<Record<string, number>>
}

const initial: Account = {
  override: undefined, open: HashMap.empty(), openBytes: 0, moments: [], storedBytes: 0, settledUpTo: {}
}

const evolve = (account: Account, event: AccountEvent): Account => {
  switch (event._tag) {
    case "PolicySet":
      return { ...account, override: event.policy }
    case "PolicyCleared":
      return { ...account, override: undefined }
    case "QuotaReserved": {
      const { at, composes, rememberMs } = event
      return {
        ...account,
        open: HashMap.setMany(account.open, composes.map(({ bytes, composeId }) => [composeId, { at, bytes }])),
        openBytes: account.openBytes + sum(composes),
        moments: counted(account.moments.filter((moment) => moment.at > at - rememberMs), at, composes.length)
      }
    }
    case "QuotaSettled": {
      const settled = closed(account, event.composes.map(({ composeId }) => composeId))
      const { stream = "", upTo } = event
      return {
        ...settled, storedBytes: account.storedBytes + sum(event.composes),
        settledUpTo: { ...account.settledUpTo, [stream]: Math.max(account.settledUpTo[stream] ?? 0, upTo) }
      }
    }
    case "QuotaReleased": {
      const moments = event.composeIds.flatMap((id) => Option.toArray(HashMap.get(account.open, id)))
        .reduce((left, { at }) => counted(left, at, -1), account.moments)
      return { ...closed(account, event.composeIds), moments }
    }
    case "BytesFreed":
      return { ...account, storedBytes: Math.max(0, account.storedBytes - event.bytes) }
  }
}

type Decision = Result.Result<ReadonlyArray<AccountEvent>, QuotaExceeded>

const decide = (command: AccountCommand, account: Account): Decision => {
  switch (command._tag) {
    case "SetPolicy":
      return same(account.override, command.policy) ? nothing : Result.succeed([PolicySet.make({ policy: command.policy })])
    case "ClearPolicy":
      return account.override === undefined ? nothing : Result.succeed([PolicyCleared.make({})])
    case "ReserveQuota":
      return reserve(command, account)
    case "SettleQuota":
      return Result.succeed(settle(command.endings, account))
    case "FreeBytes": {
      const { _tag, ...freed } = command
      return freed.bytes === 0 ? nothing : Result.succeed([BytesFreed.make(freed)])
    }
  }
}

export const AccountDecider: Decider<Account, AccountEvent, AccountCommand, QuotaExceeded> = { initial, evolve, decide }

const nothing: Decision = Result.succeed([])

const reserve = (command: typeof ReserveQuota.Type, account: Account): Decision => {
  const { admitted: [first, ...others], refused } = admission(command, account)
  if (first === undefined) {
    const [refusal] = refused.values()
    return refusal === undefined ? nothing : Result.fail(refusal)
  }
  const windows = { ...command.standing, ...account.override }.composes ?? []
  const rememberMs = Math.max(0, ...windows.map(({ windowMs }) => windowMs))
  return Result.succeed([QuotaReserved.make({ at: command.now, composes: [first, ...others], rememberMs })])
}

export interface Admission {
  /** Of those, who has no place yet. */
  readonly admitted: ReadonlyArray<typeof Weighed.Type>
  readonly refused: ReadonlyMap<ComposeId, QuotaExceeded>
}

/** Each on its own, in order: as many as fit. Who has a reservation keeps it and is not counted again. */
export const admission = ({ composes, now, standing }: typeof ReserveQuota.Type, account: Account): Admission => {
  const policy: Policy = { ...standing, ...account.override }
  const admitted = new Map<ComposeId, typeof Weighed.Type>()
  const refused = new Map<ComposeId, QuotaExceeded>()
  const windows = (policy.composes ?? []).map((window) => ({ window, used: usedIn(account, window, now) }))
  let bytes = bytesOf(account)
  for (const asked of composes) {
    if (HashMap.has(account.open, asked.composeId) || admitted.has(asked.composeId)) continue
    const refusals = windows.filter(({ used, window }) => used >= window.count).map(({ used, window }) => windowIsFull(account, window, used, now))
    if (policy.storedBytes !== undefined && bytes + asked.bytes > policy.storedBytes) {
      refusals.push(new QuotaExceeded({ rule: "stored_bytes", limit: policy.storedBytes, used: bytes }))
    }
    const refusal = refusals.reduce<QuotaExceeded | undefined>((a, b) => a === undefined || lasting(b) > lasting(a) ? b : a, undefined)
    if (refusal !== undefined) {
      refused.set(asked.composeId, refusal)
      continue
    }
    admitted.set(asked.composeId, asked)
    bytes += asked.bytes
    for (const each of windows) each.used += 1
  }
  return { admitted: [...admitted.values()], refused }
}

/** What has been stored, and what may come to be by composes under way. */
export const bytesOf = ({ openBytes, storedBytes }: Account): number => storedBytes + openBytes

/** A window holds what came less than its length ago. */
export const usedIn = ({ moments }: Account, { windowMs }: WindowQuota, now: number): number =>
  moments.reduce((total, { at, count }) => at > now - windowMs ? total + count : total, 0)

/** When one more place becomes free: now full, the first; otherwise the next. Never, where none is allowed or nothing is used. */
export const freesAt = ({ moments }: Account, { count, windowMs }: WindowQuota, used: number, now: number): Millis | undefined => {
  if (count === 0) return undefined
  let toLeave = Math.max(1, used - count + 1)
  const last = moments.find((moment) => moment.at > now - windowMs && (toLeave -= moment.count) <= 0)
  return last && Millis.make(last.at + windowMs)
}

const windowIsFull = (account: Account, window: WindowQuota, used: number, now: number): QuotaExceeded => {
  // Those admitted by the same decision free their places a whole window from now.
  const resetsAt = window.count === 0 ? undefined : freesAt(account, window, used, now) ?? Millis.make(now + window.windowMs)
  return new QuotaExceeded({
    rule: "composes", limit: window.count, used, windowMs: window.windowMs, ...(resetsAt !== undefined && { resetsAt })
  })
}

const lasting = ({ resetsAt }: QuotaExceeded): number => resetsAt ?? Infinity

/** An end of a compose that is open counts whenever it is heard; of others, what is past the last one taken in. */
const settle = (endings: ReadonlyArray<Ending>, account: Account): ReadonlyArray<AccountEvent> => {
  const known = (ending: Ending) => HashMap.has(account.open, ending.composeId)
  const news = [...new Map(endings.filter((ending) => known(ending) || (ending.bytes > 0 && ending.sequence > (account.settledUpTo[ending.stream ?? ""] ?? 0)))
    .map((ending) => [`${ending.composeId}/${ending.stream}/${ending.sequence}`, ending])).values()]
  const released = (why: typeof ReleaseReason.Type) =>
    [...new Set(news.filter((ending) => ending.release === why && known(ending)).map(({ composeId }) => composeId))]
  const settled = news.filter(({ bytes, release }) => bytes > 0 || release === undefined)
  return [
    ...ReleaseReason.literals.flatMap((reason) => {
      const [first, ...others] = released(reason)
      return first === undefined ? [] : [QuotaReleased.make({ composeIds: [first, ...others], reason })]
    }),
    ...[...Map.groupBy(settled, ({ stream }) => stream)].map(([stream, ends]) => settledIn(stream, ends))
  ]
}

const settledIn = (stream: string | undefined, ends: ReadonlyArray<Ending>): AccountEvent => {
  const [first, ...others] = ends.map(({ bytes, composeId }) => ({ composeId, bytes }))
  const upTo = Math.max(...ends.map(({ sequence }) => sequence))
  return QuotaSettled.make({ composes: [first!, ...others], upTo, ...(stream !== undefined && { stream }) })
}

const closed = (account: Account, ids: ReadonlyArray<ComposeId>): Account => {
  const reservations = [...new Set(ids)].flatMap((id) => Option.toArray(HashMap.get(account.open, id)))
  return { ...account, open: HashMap.removeMany(account.open, ids), openBytes: account.openBytes - sum(reservations) }
}

/** Clocks of gateways differ, so a moment may come in before others; it finds its place. */
const counted = (moments: ReadonlyArray<Moment>, at: Millis, change: number): ReadonlyArray<Moment> => {
  const index = moments.findLastIndex((moment) => moment.at <= at) + 1
  const before = moments[index - 1]
  if (before?.at !== at) return change > 0 ? moments.toSpliced(index, 0, { at, count: change }) : moments
  const count = before.count + change
  return moments.toSpliced(index - 1, 1, ...(count > 0 ? [{ at, count }] : []))
}

const sum = (weighed: Iterable<{ readonly bytes: number }>): number => {
  let total = 0
  for (const { bytes } of weighed) total += bytes
  return total
}

const same = Schema.toEquivalence(Schema.UndefinedOr(Policy))
