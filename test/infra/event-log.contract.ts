/** What every `EventLog` does, races included. Run by each adapter's own test. */
import { assert, type Vitest } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Stream } from "effect"
import { v7 } from "uuid"
import type { ComposeEvent } from "../../domain/compose-events.ts"
import { QuotaSettled } from "../../domain/account.ts"
import { ComposeId, TenantId } from "../../domain/ids.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { accountRef, type AggregateRef, composeRef } from "../../domain/recorded.ts"
import { composeId, decisionOf, jobs, queued, requested, started } from "../support/composes.ts"

const fresh = (): AggregateRef<"compose"> => composeRef(TenantId.make("acme"), ComposeId.make(v7()))
const events = (...all: [ComposeEvent, ...Array<ComposeEvent>]) => decisionOf(v7(), ...all)

export const eventLogContract = (it: Vitest.MethodsNonLive<EventLog>) => {
  it.effect("reads nobody's aggregate as nothing at revision 0", () =>
    Effect.gen(function*() {
      const log = yield* EventLog
      assert.deepStrictEqual(yield* log.read(fresh()), { recorded: [], revision: 0 })
    }))

  it.effect("gives decisions back in order, with all their events and what the envelope says", () =>
    Effect.gen(function*() {
      const log = yield* EventLog
      const ref = fresh()
      const [first, second] = [events(requested, queued(jobs.resolve)), { ...events(started(jobs.resolve)), trace: "00-1-2-01" }]
      yield* log.append(ref, 0, first)
      const position = yield* log.append(ref, 1, second)
      const { recorded, revision } = yield* log.read(ref)
      assert.strictEqual(revision, 2)
      assert.deepStrictEqual(recorded.map((entry) => entry.events), [first.events, second.events])
      const { messageId, at, actor, trace, tenantId, position: where } = recorded[1]!
      assert.deepStrictEqual({ messageId, at, actor, trace, tenantId, where }, {
        messageId: second.messageId, at: second.at, actor: second.actor, trace: "00-1-2-01", tenantId: ref.tenantId, where: position
      })
    }))

  it.effect("refuses a revision that is taken, and stores nothing of it", () =>
    Effect.gen(function*() {
      const log = yield* EventLog
      const ref = fresh()
      yield* log.append(ref, 0, events(requested))
      const refused = yield* Effect.flip(log.append(ref, 0, events(queued(jobs.resolve))))
      assert.strictEqual(refused._tag, "WrongRevision")
      assert.strictEqual((yield* log.read(ref)).revision, 1)
    }))

  it.effect("takes the same decision twice as one, also when it comes after others", () =>
    Effect.gen(function*() {
      const log = yield* EventLog
      const ref = fresh()
      const decision = events(requested)
      const first = yield* log.append(ref, 0, decision)
      yield* log.append(ref, 1, events(queued(jobs.resolve)))
      assert.deepStrictEqual(yield* log.append(ref, 0, decision), first)
      assert.strictEqual((yield* log.read(ref)).revision, 2)
    }))

  it.effect("knows a message id only within its aggregate", () =>
    Effect.gen(function*() {
      const log = yield* EventLog
      const decision = events(requested)
      const [one, other] = [fresh(), fresh()]
      yield* log.append(one, 0, decision)
      yield* log.append(other, 0, decision)
      assert.strictEqual((yield* log.read(other)).revision, 1)
    }))

  it.effect("lets one of twenty writers win each revision", () =>
    Effect.gen(function*() {
      const log = yield* EventLog
      const ref = fresh()
      for (let after = 0; after < 5; after++) {
        const exits = yield* Effect.forEach(Array.from({ length: 20 }), () => Effect.exit(log.append(ref, after, events(requested))), { concurrency: 20 })
        assert.strictEqual(exits.filter(Exit.isSuccess).length, 1)
      }
      assert.strictEqual((yield* log.read(ref)).revision, 5)
    }))

  it.effect("stores many at once, each once, though some of them conflict or repeat", () =>
    Effect.gen(function*() {
      const log = yield* EventLog
      const refs = Array.from({ length: 200 }, fresh)
      const taken = refs[0]!
      yield* log.append(taken, 0, events(requested))
      const decisions = refs.map(() => events(requested))
      const exits = yield* Effect.forEach(refs.flatMap((ref, index) => [[ref, decisions[index]!], [ref, decisions[index]!]] as const),
        ([ref, decision]) => Effect.exit(log.append(ref, 0, decision)), { concurrency: "unbounded" })
      assert.strictEqual(exits.filter(Exit.isSuccess).length, 2 * (refs.length - 1))
      for (const [index, ref] of refs.entries()) {
        const { recorded } = yield* log.read(ref)
        assert.strictEqual(recorded.length, 1)
        const [first, second] = [exits[2 * index]!, exits[2 * index + 1]!]
        if (ref !== taken) assert.deepStrictEqual([first, second], [Exit.succeed(recorded[0]!.position), Exit.succeed(recorded[0]!.position)])
      }
    }))

  it.effect("keeps tenants apart who chose the same id", () =>
    Effect.gen(function*() {
      const log = yield* EventLog
      const ref = fresh()
      yield* log.append(ref, 0, events(requested))
      assert.strictEqual((yield* log.read({ ...ref, tenantId: TenantId.make("other") })).revision, 0)
    }))

  it.effect("follows a stream from a place: what is there, then what comes", () =>
    Effect.gen(function*() {
      const log = yield* EventLog
      const ref = fresh()
      const before = yield* log.append(ref, 0, events(requested))
      yield* log.append(ref, 1, events(queued(jobs.resolve)))
      const seen = yield* log.follow(before.stream, before.sequence).pipe(
        Stream.filter((entry) => entry._tag === "Recorded" && entry.id === ref.id), Stream.take(2), Stream.runCollect, Effect.forkChild)
      const last = yield* log.append(ref, 2, events(started(jobs.resolve)))
      const entries = yield* Fiber.join(seen)
      assert.deepStrictEqual(entries.map((entry) => entry._tag === "Recorded" && entry.revision), [2, 3])
      assert.isAtLeast(yield* log.head(before.stream), last.sequence)
      assert.include(log.streams, before.stream)
    }))

  it.effect("scans a stream for a tenant's own, and ends also where there is nothing of them", () =>
    Effect.gen(function*() {
      const log = yield* EventLog
      const [one, nobody] = [TenantId.make(`t${Date.now()}`), TenantId.make("nobody")]
      const { sequence, stream } = yield* log.append(composeRef(one, ComposeId.make(v7())), 0, events(requested))
      yield* log.append(fresh(), 0, events(requested))
      const range = { after: 0, upTo: yield* log.head(stream) }
      const found = yield* Stream.runCollect(log.scan(stream, { ...range, tenantId: one }))
      assert.deepStrictEqual(Array.from(found, ({ position }) => position.sequence), [sequence])
      assert.deepStrictEqual(yield* Stream.runCollect(log.scan(stream, { ...range, tenantId: nobody })), [])
    }))

  it.effect("follows one kind of aggregate alone, and reads one from any revision", () =>
    Effect.gen(function*() {
      const log = yield* EventLog
      const account = accountRef(TenantId.make(`t-${v7()}`))
      const settled = (upTo: number) => ({ ...events(requested), events: [QuotaSettled.make({ composes: [{ composeId, bytes: 7 }], upTo })] as const })
      const before = yield* log.append(account, 0, settled(1))
      yield* log.append(fresh(), 0, events(requested))
      const second = settled(2)
      const last = yield* log.append(account, 1, second)
      const followed = yield* log.follow(before.stream, before.sequence, "account").pipe(Stream.take(1), Stream.runCollect)
      assert.deepStrictEqual(followed.map(({ position }) => position), [last])
      const { recorded, revision } = yield* log.read(account, 1)
      assert.deepStrictEqual([recorded.map((entry) => entry.events), revision], [[second.events], 2])
      assert.deepStrictEqual(yield* log.read(account, 2), { recorded: [], revision: 2 })
    }))

  it.effect("follows and scans what is wanted: a kind of every tenant, another of one alone", () =>
    Effect.gen(function*() {
      const log = yield* EventLog
      const one = TenantId.make(`t-${v7()}`)
      const settled = { ...events(requested), events: [QuotaSettled.make({ composes: [{ composeId, bytes: 7 }], upTo: 1 })] as const }
      const { sequence: after, stream } = yield* log.append(composeRef(one, ComposeId.make(v7())), 0, events(requested))
      yield* log.append(fresh(), 0, events(requested))
      const wanted = [yield* log.append(accountRef(one), 0, settled), yield* log.append(composeRef(one, ComposeId.make(v7())), 0, events(requested))]
      const there = wanted.filter((position) => position.stream === stream)
      const only = [{ aggregate: "account" as const }, { aggregate: "compose" as const, tenantId: one }]
      const followed = yield* log.follow(stream, after, only).pipe(Stream.take(there.length), Stream.runCollect)
      const range = { after, upTo: yield* log.head(stream) }
      const scanned = yield* Stream.runCollect(log.scan(stream, { ...range, only }))
      assert.deepStrictEqual([followed, scanned].map((entries) => entries.map(({ position }) => position)), [there, there])
      assert.deepStrictEqual(yield* Stream.runCollect(log.scan(stream, { ...range, only: [{ aggregate: "compose", tenantId: TenantId.make("nobody") }] })), [])
    }))

  it.effect("knows how far a stream had come at a time", () =>
    Effect.gen(function*() {
      const log = yield* EventLog
      const first = yield* log.append(fresh(), 0, events(requested))
      yield* Effect.sleep("5 millis")
      const between = yield* Clock.currentTimeMillis
      yield* Effect.sleep("5 millis")
      const second = yield* log.append(fresh(), 0, events(requested))
      assert.strictEqual(yield* log.before(first.stream, between), first.sequence)
      assert.strictEqual(yield* log.before(first.stream, between + 60_000), second.sequence)
      assert.strictEqual(yield* log.before(first.stream, 0), 0)
    }))

  it.effect("watches one aggregate without a gap, from any revision", () =>
    Effect.gen(function*() {
      const log = yield* EventLog
      const ref = fresh()
      yield* log.append(ref, 0, events(requested))
      const seen = yield* log.watch(ref, 0).pipe(Stream.take(21), Stream.runCollect, Effect.forkChild)
      for (let after = 1; after < 21; after++) {
        yield* log.append(fresh(), 0, events(requested))
        yield* log.append(ref, after, events(queued(jobs.build, after)))
      }
      assert.deepStrictEqual((yield* Fiber.join(seen)).map(({ revision }) => revision), Array.from({ length: 21 }, (_, index) => index + 1))
    }))

  it.effect("reads an aggregate of more than a thousand decisions whole", () =>
    Effect.gen(function*() {
      const log = yield* EventLog
      const ref = fresh()
      for (let after = 0; after < 1100; after++) yield* log.append(ref, after, events(queued(jobs.build, after)))
      const { recorded } = yield* log.read(ref)
      assert.deepStrictEqual(recorded.map(({ revision }) => revision), Array.from({ length: 1100 }, (_, index) => index + 1))
    }))
}

