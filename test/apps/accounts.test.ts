/** Accounts as several processes keep them over one log. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Schedule, type Scope } from "effect"
import { v7 } from "uuid"
import { type Account, bytesOf, FreeBytes, ReserveQuota, SetPolicy, SettleQuota, usedIn } from "../../domain/account.ts"
import { ComposeId, Millis, TenantId } from "../../domain/ids.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { accountRef } from "../../domain/recorded.ts"
import { Accounts, AccountsLive } from "../../apps/accounts.ts"
import { decodeAccount, encodeAccount } from "../../apps/account-snapshot.ts"
import { EventLogInMemory } from "../../infra/memory/event-log.ts"
import { SnapshotsInMemory } from "../../infra/memory/snapshots.ts"

const tenantId = TenantId.make("acme")
const window = { count: 100, windowMs: 3_600_000 }
const intent = () => ({ tenantId, messageId: v7(), at: Millis.make(Date.now()), actor: { kind: "system", id: "test" } } as const)

/** One more process over the same ports. */
const another = Effect.map(Layer.build(Layer.fresh(AccountsLive)), (context) => Context.get(context, Accounts))

const reserve = (accounts: Accounts["Service"], composeId = ComposeId.make(v7())) =>
  accounts.execute(intent(), ReserveQuota.make({
    now: Millis.make(Date.now()), standing: { composes: [window] }, composes: [{ composeId, bytes: 7 }]
  }))

const until = (look: Effect.Effect<Account, unknown>, holds: (account: Account) => boolean) =>
  look.pipe(Effect.repeat({ until: holds, schedule: Schedule.spaced("5 millis") }))

describe("accounts", () => {
  const given = (name: string, test: Effect.Effect<void, unknown, Layer.Success<typeof Ports> | Scope.Scope>) =>
    it.live(name, () => Effect.scoped(test).pipe(Effect.provide(Layer.fresh(Ports))))
  const Ports = Layer.merge(EventLogInMemory, SnapshotsInMemory)

  given("of three processes that reserve at once have room for exactly as many as fit", Effect.gen(function*() {
    const processes = [yield* another, yield* another, yield* another]
    const decided = yield* Effect.forEach(Array.from({ length: 400 }, (_, n) => n), (n) => reserve(processes[n % 3]!), { concurrency: "unbounded" })
    assert.strictEqual(decided.filter(({ events }) => events.length > 0).length, 100)
    assert.isTrue(decided.filter(({ events }) => events.length === 0).every(({ refusal }) => refusal?.rule === "composes"))
    for (const accounts of processes) assert.strictEqual(usedIn(yield* accounts.read(tenantId), window, Date.now()), 100)
  }))

  given("of another process are heard of without a look", Effect.gen(function*() {
    const [one, other] = [yield* another, yield* another]
    yield* Effect.map(other.recent(tenantId), () => other.peek(tenantId)).pipe(
      Effect.repeat({ until: (known) => known !== undefined, schedule: Schedule.spaced("5 millis") }))
    yield* one.execute(intent(), SetPolicy.make({ policy: { weight: 5 } }))
    yield* until(Effect.sync(() => other.peek(tenantId)!), ({ override }) => override?.weight === 5)
  }))

  given("are read cold from their last snapshot, and not from their beginning", Effect.gen(function*() {
    const log = yield* EventLog
    const accounts = yield* another
    for (let n = 1; n <= 600; n++) yield* accounts.execute(intent(), FreeBytes.make({ bytes: n }))
    const composeId = ComposeId.make(v7())
    yield* reserve(accounts, composeId)
    const read: Array<number> = []
    const counting = Layer.succeed(EventLog, EventLog.of({
      ...log,
      read: (ref, after) => Effect.tap(log.read(ref, after), ({ recorded }) => Effect.sync(() => void read.push(recorded.length)))
    }))
    const cold = yield* Effect.provide(another, counting)
    yield* until(cold.read(tenantId), () => read.length > 0)
    assert.isAtMost(Math.max(...read), 256)
    assert.strictEqual(bytesOf(yield* cold.read(tenantId)), 7)
    const settled = yield* cold.execute(intent(), SettleQuota.make({ endings: [{ composeId, bytes: 3, sequence: 9 }] }))
    assert.strictEqual(bytesOf(settled.after), 3)
    assert.strictEqual((yield* log.read(accountRef(tenantId))).revision, 602)
  }))

  it("come back whole from their text, and not from another's", () => {
    const account = { account: { ...decodeAccount(emptied)!.account, storedBytes: 5, settledUpTo: { "": 4, "EVENTS-2026-11": 2 }, override: { weight: 2 } }, revision: 9 }
    assert.deepStrictEqual(JSON.parse(encodeAccount(decodeAccount(encodeAccount(account))!)), JSON.parse(encodeAccount(account)))
    assert.isUndefined(decodeAccount(encodeAccount(account).replace("\"version\":2", "\"version\":99")))
  })
})

const emptied = JSON.stringify({ version: 2, revision: 0, open: [{ composeId: "01890000-0000-7000-8000-000000000001", at: 1, bytes: 2 }], moments: [{ at: 1, count: 1 }], storedBytes: 0, settledUpTo: {} })
