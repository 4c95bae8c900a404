/** What becomes of reservations: settled, released, or given back because nothing came. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, HashMap, Layer, Schedule, type Scope, Stream } from "effect"
import { v7 } from "uuid"
import { type Account, bytesOf, usedIn } from "../../../domain/account.ts"
import {
  type ComposeEvent, ComposeCanceled, ComposeFinished, ComposeReopened, ComposeRequested, JobFailed, JobSucceeded
} from "../../../domain/compose-events.ts"
import { ComposeId, TenantId } from "../../../domain/ids.ts"
import { Uploaded } from "../../../domain/job.ts"
import { EventLog } from "../../../domain/ports/event-log.ts"
import { StandingPolicies } from "../../../domain/ports/standing-policies.ts"
import { composeRef } from "../../../domain/recorded.ts"
import { Accounts, AccountsLive } from "../../../apps/accounts.ts"
import { Reservations, ReservationsLive } from "../../../apps/gateway/reserve-quota.ts"
import { quotaSettler } from "../../../apps/scheduler/settle-quota.ts"
import { EventLogInMemory } from "../../../infra/memory/event-log.ts"
import { SnapshotsInMemory } from "../../../infra/memory/snapshots.ts"
import { artifact, decisionOf, jobs, request } from "../../support/composes.ts"

const tenantId = TenantId.make("acme")
const window = { count: 2, windowMs: 3_600_000 }

const Ports = Layer.provideMerge(ReservationsLive, AccountsLive).pipe(
  Layer.provideMerge(Layer.mergeAll(EventLogInMemory, SnapshotsInMemory)),
  Layer.provide(Layer.succeed(StandingPolicies, { defaults: { composes: [window], storedBytes: 2 ** 40 } }))
)

/** A settler that is fed as the scheduler feeds it: with what comes after the positions it begins at. */
const startSettler = Effect.fnUntraced(function*({ fedFrom = 0, ...options }: { fedFrom?: number; overdueMs?: number; sweepEveryMs?: number } = {}) {
  const log = yield* EventLog
  const settler = yield* quotaSettler({ positions: { EVENTS: fedFrom }, countsBytes: () => true, ...options })
  const fed = Stream.runForEach(log.follow("EVENTS", fedFrom), (entry) => Effect.sync(() => settler.record(entry)))
  return yield* Effect.forkScoped(Effect.all([fed, settler.run], { concurrency: "unbounded" }))
})

const reserve = Effect.fnUntraced(function*(bytes = 100) {
  const composeId = ComposeId.make(v7())
  yield* (yield* Reservations).reserve(tenantId, { composeId, bytes })
  return composeId
})

const append = Effect.fnUntraced(function*(composeId: ComposeId, ...events: [ComposeEvent, ...Array<ComposeEvent>]) {
  const log = yield* EventLog
  const { revision } = yield* log.read(composeRef(tenantId, composeId))
  yield* log.append(composeRef(tenantId, composeId), revision, decisionOf(v7(), ...events))
})

const requested = (composeId: ComposeId) => ComposeRequested.make({ composeId, request, builder: "debian", resolves: false })
const stored = (composeId: ComposeId, size: number) =>
  JobSucceeded.make({ composeId, jobId: jobs.upload, attempt: 1, outcome: Uploaded.make({ target: { type: "file" }, artifact: { ...artifact, size } }) })
const failed = (composeId: ComposeId, why: "user" | "platform") =>
  JobFailed.make({ composeId, jobId: jobs.build, attempt: 1, final: true, failure: { class: why, message: "no" } })
const finished = (composeId: ComposeId, outcome: "succeeded" | "failed") => ComposeFinished.make({ composeId, outcome })

const until = (holds: (account: Account) => boolean) =>
  Effect.flatMap(Accounts, (accounts) => accounts.read(tenantId)).pipe(
    Effect.repeat({ until: holds, schedule: Schedule.spaced("10 millis") }))
const nothingOpen = ({ open }: Account) => HashMap.isEmpty(open)
const used = (account: Account) => usedIn(account, window, Date.now())

describe("a reservation", () => {
  const given = <E>(name: string, test: Effect.Effect<void, E, Layer.Success<typeof Ports> | Scope.Scope>) =>
    it.live(name, () => Effect.scoped(test).pipe(Effect.provide(Layer.fresh(Ports))))

  given("is settled to the bytes that its compose has stored", Effect.gen(function*() {
    yield* startSettler()
    const id = yield* reserve()
    yield* append(id, requested(id))
    yield* append(id, stored(id, 7), finished(id, "succeeded"))
    const account = yield* until(nothingOpen)
    assert.deepStrictEqual([bytesOf(account), used(account)], [7, 1])
  }))

  given("is released when the platform has failed, and kept when the requester has, or has canceled", Effect.gen(function*() {
    yield* startSettler()
    const one = yield* reserve()
    yield* append(one, requested(one), failed(one, "platform"), finished(one, "failed"))
    assert.deepStrictEqual(used(yield* until(nothingOpen)), 0)
    const [two, three] = [yield* reserve(), yield* reserve()]
    yield* append(two, requested(two), failed(two, "user"), finished(two, "failed"))
    yield* append(three, requested(three), ComposeCanceled.make({ composeId: three }))
    assert.deepStrictEqual(used(yield* until(nothingOpen)), 2)
    assert.strictEqual((yield* Effect.flip(reserve()))._tag, "QuotaExceeded")
  }))

  given("counts what a second try stores, and not the first again", Effect.gen(function*() {
    yield* startSettler()
    const id = yield* reserve()
    yield* append(id, requested(id), stored(id, 7), failed(id, "user"), finished(id, "failed"))
    yield* until((account) => bytesOf(account) === 7)
    yield* append(id, ComposeReopened.make({ composeId: id }))
    yield* append(id, stored(id, 5), finished(id, "succeeded"))
    const account = yield* until((account) => bytesOf(account) !== 7)
    assert.strictEqual(bytesOf(account), 12)
  }))

  given("whose compose never comes is released, and the compose cannot come any more", Effect.gen(function*() {
    yield* startSettler({ overdueMs: 50, sweepEveryMs: 20 })
    const [never, comes] = [yield* reserve(), yield* reserve()]
    yield* append(comes, requested(comes))
    const account = yield* until(({ open }) => HashMap.size(open) === 1)
    assert.deepStrictEqual([used(account), HashMap.has(account.open, comes)], [1, true])
    const log = yield* EventLog
    const late = yield* Effect.flip(log.append(composeRef(tenantId, never), 0, decisionOf(v7(), requested(never))))
    assert.strictEqual(late._tag, "WrongRevision")
  }))

  given("that was made once more for a compose that had ended is given back", Effect.gen(function*() {
    yield* startSettler({ overdueMs: 50, sweepEveryMs: 20 })
    const id = yield* reserve()
    yield* append(id, requested(id), stored(id, 7), finished(id, "succeeded"))
    yield* until(nothingOpen)
    yield* (yield* Reservations).reserve(tenantId, { composeId: id, bytes: 100 })
    const account = yield* until(nothingOpen)
    assert.deepStrictEqual([bytesOf(account), used(account)], [7, 1])
  }))

  given("is settled once by a scheduler that was away when its compose ended, and by one that hears all again", Effect.gen(function*() {
    const log = yield* EventLog
    const first = yield* startSettler()
    const id = yield* reserve()
    yield* append(id, requested(id))
    yield* Fiber.interrupt(first)
    yield* append(id, stored(id, 7), finished(id, "succeeded"))
    const second = yield* startSettler({ fedFrom: yield* log.head("EVENTS") })
    const account = yield* until(nothingOpen)
    assert.strictEqual(bytesOf(account), 7)
    yield* Fiber.interrupt(second)
    yield* startSettler({ overdueMs: 50, sweepEveryMs: 20 })
    const other = yield* reserve()
    yield* append(other, requested(other), stored(other, 3), finished(other, "succeeded"))
    assert.strictEqual(bytesOf(yield* until(nothingOpen)), 10)
  }))
})
