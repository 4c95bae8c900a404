/** Tenants' accounts as the log has them, kept in memory: read once, then read on. */
import { Context, Effect, Layer, Result, Schedule, Stream } from "effect"
import { type Account, type AccountCommand, AccountDecider, type AccountEvent, type QuotaExceeded } from "../domain/account.ts"
import { fold } from "../domain/decider.ts"
import type { TenantId } from "../domain/ids.ts"
import { EventLog, LogUnavailable } from "../domain/ports/event-log.ts"
import { Snapshots } from "../domain/ports/snapshots.ts"
import { accountRef, type Recorded } from "../domain/recorded.ts"
import { decodeAccount, encodeAccount, type KnownAccount } from "./account-snapshot.ts"
import type { Intent } from "./execute.ts"

/** What was decided, and the account that it was decided on: with a refusal nothing has changed. */
export interface DecidedOnAccount {
  readonly events: ReadonlyArray<AccountEvent>
  readonly refusal?: QuotaExceeded
  readonly before: Account
  readonly after: Account
}

export class Accounts extends Context.Service<Accounts, {
  /** As this process last heard; others' decisions arrive within moments. */
  recent(tenantId: TenantId): Effect.Effect<Account, LogUnavailable>
  /** The same without waiting; nothing if the account was not asked for lately. */
  peek(tenantId: TenantId): Account | undefined
  /** As the log has it now. */
  read(tenantId: TenantId): Effect.Effect<Account, LogUnavailable>
  /** Refuses, or answers without events, only upon what the log has said after the call. */
  execute(intent: Intent, command: AccountCommand): Effect.Effect<DecidedOnAccount, LogUnavailable>
}>()("apps/Accounts") {}

const mostAccounts = 2000
/** A cold reader reads no more decisions than about this. */
const snapshotEvery = 256
const mostTries = 500

export const AccountsLive = Layer.effect(Accounts, Effect.gen(function*() {
  const log = yield* EventLog
  const snapshots = yield* Snapshots
  const scope = yield* Effect.scope
  const accounts = new Map<TenantId, KnownAccount>()
  /** Streams that we do not listen to yet: what is read before would grow old without our knowing. */
  const deaf = new Set(log.streams)

  /** The one asked for last is forgotten last; what is older than what is known is not kept. */
  const keep = (tenantId: TenantId, known: KnownAccount): KnownAccount => {
    const kept = accounts.get(tenantId)
    const newest = kept !== undefined && kept.revision > known.revision ? kept : known
    accounts.delete(tenantId)
    accounts.set(tenantId, newest)
    if (accounts.size > mostAccounts) accounts.delete(accounts.keys().next().value!)
    return newest
  }

  const readOn = Effect.fnUntraced(function*(tenantId: TenantId, known: KnownAccount) {
    const listening = deaf.size === 0
    const { recorded, revision } = yield* log.read(accountRef(tenantId), known.revision)
    const now = recorded.length === 0 ? known : { revision, account: folded(known.account, recorded) }
    return listening ? keep(tenantId, now) : now
  })

  const cold = Effect.fnUntraced(function*(tenantId: TenantId) {
    const [text] = yield* Effect.orElseSucceed(Stream.runCollect(snapshots.load(snapshotOf(tenantId))), () => [])
    const saved = text === undefined ? undefined : decodeAccount(text)
    return yield* readOn(tenantId, saved ?? { account: AccountDecider.initial, revision: 0 })
  })

  const known = (tenantId: TenantId) => Effect.suspend(() => {
    const kept = accounts.get(tenantId)
    return kept === undefined ? cold(tenantId) : Effect.succeed(kept)
  })

  const save = (tenantId: TenantId, { account, revision }: KnownAccount) =>
    snapshots.save(snapshotOf(tenantId), [encodeAccount({ account, revision })]).pipe(
      Effect.catch((error) => Effect.logDebug(error.message)), Effect.forkIn(scope))

  const append = Effect.fnUntraced(function*(
    { tenantId, ...intent }: Intent, { account, revision }: KnownAccount, events: readonly [AccountEvent, ...Array<AccountEvent>]
  ) {
    const { actor, at, messageId, trace } = intent
    yield* log.append(accountRef(tenantId), revision, { messageId, at, actor, ...(trace !== undefined && { trace }), events })
    const after = { account: fold(AccountDecider, events, account), revision: revision + 1 }
    if (accounts.has(tenantId)) keep(tenantId, after)
    if (after.revision % snapshotEvery === 0) yield* save(tenantId, after)
    return { events, before: account, after: after.account } satisfies DecidedOnAccount
  })

  const execute = Effect.fn("Accounts.execute")(function*(intent: Intent, command: AccountCommand) {
    let state = yield* known(intent.tenantId)
    let fresh = false
    for (let tries = 0; tries < mostTries; tries++) {
      const decided = AccountDecider.decide(command, state.account)
      const [first, ...others] = Result.isSuccess(decided) ? decided.success : []
      if (first !== undefined) {
        const appended = yield* append(intent, state, [first, ...others]).pipe(Effect.catchTag("WrongRevision", () => Effect.succeed(undefined)))
        if (appended !== undefined) return appended
      } else if (fresh) {
        const refused = Result.isFailure(decided) ? { refusal: decided.failure } : {}
        return { events: [], before: state.account, after: state.account, ...refused } satisfies DecidedOnAccount
      }
      const newer = yield* readOn(intent.tenantId, state)
      // A server that lags behind may not have yet what stood in our way.
      if (first !== undefined && newer.revision === state.revision) yield* Effect.sleep("2 millis")
      fresh = true
      state = newer
    }
    return yield* new LogUnavailable({ message: `the account of ${intent.tenantId} is changing too fast to be written` })
  })

  const hear = ({ events, revision, tenantId }: Recorded<"account">) => {
    const kept = accounts.get(tenantId)
    if (kept === undefined || revision <= kept.revision) return
    if (revision === kept.revision + 1) accounts.set(tenantId, { account: fold(AccountDecider, events, kept.account), revision })
    else accounts.delete(tenantId)
  }

  const listen = Effect.fnUntraced(function*(stream: string) {
    let position = yield* Effect.retry(log.head(stream), Schedule.spaced("1 second"))
    deaf.delete(stream)
    const follow = Effect.suspend(() => Stream.runForEach(log.follow(stream, position, "account"), (entry) => Effect.sync(() => {
      if (entry._tag === "Recorded" && entry.aggregate === "account") hear(entry)
      position = entry.position.sequence
    })))
    return yield* follow.pipe(Effect.tapError((error) => Effect.logWarning(error.message)), Effect.retry(Schedule.spaced("1 second")))
  })
  yield* Effect.forEach(log.streams, (stream) => Effect.forkScoped(listen(stream)), { discard: true })

  return Accounts.of({
    recent: (tenantId) => Effect.map(known(tenantId), ({ account }) => account),
    peek: (tenantId) => accounts.get(tenantId)?.account,
    read: (tenantId) => Effect.map(Effect.flatMap(known(tenantId), (state) => readOn(tenantId, state)), ({ account }) => account),
    execute
  })
}))

const snapshotOf = (tenantId: TenantId) => `account-${tenantId}`

const folded = (account: Account, recorded: ReadonlyArray<Recorded<"account">>): Account =>
  recorded.reduce((state, { events }) => fold(AccountDecider, events, state), account)
