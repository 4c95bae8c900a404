import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { onRecord, type OperationBy } from "../../apps/operations.ts"
import { TenantId } from "../../domain/ids.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { EventLogInMemory } from "../../infra/memory/event-log.ts"

const by: OperationBy = { tenantId: TenantId.make("ops"), actor: { kind: "operator", id: "olga" } }
const on = { operation: "parked-drop", on: "the thing" }

const recordedSince = (after: number) =>
  Effect.flatMap(EventLog, (log) => Effect.flatMap(log.head("EVENTS"), (upTo) => Stream.runCollect(log.scan("EVENTS", { after, upTo })))).pipe(
    Effect.map((entries) => entries.flatMap((entry): ReadonlyArray<{ readonly _tag: string }> => entry._tag === "Recorded" ? entry.events : [])))
const head = Effect.flatMap(EventLog, (log) => log.head("EVENTS"))

layer(EventLogInMemory)("what operators do", (it) => {
  it.effect("given one that goes well, then its beginning is on record before it is done, and its end after", () =>
    Effect.gen(function*() {
      const after = yield* head
      const during = yield* onRecord(by, { ...on, result: (events) => `${events.length} before` }, recordedSince(after))
      assert.deepStrictEqual(during.map(({ _tag }) => _tag), ["OperationBegun"])
      const all = yield* recordedSince(after)
      assert.deepStrictEqual<unknown>(all, [{ _tag: "OperationBegun", operation: "parked-drop", on: "the thing" }, { _tag: "OperationSucceeded", result: "1 before" }])
    }))

  it.effect("given one that fails, then that is on record in its own words, and whoever asked hears them", () =>
    Effect.gen(function*() {
      const after = yield* head
      const failed = yield* Effect.flip(onRecord(by, on, Effect.fail({ message: "no such\u0000 thing" })))
      assert.strictEqual(failed.message, "no such\u0000 thing")
      assert.deepInclude((yield* recordedSince(after)).at(-1) as object, { _tag: "OperationFailed", reason: "no such\ufffd thing" })
    }))

  it.effect("given one that is interrupted, then it does not stay open", () =>
    Effect.gen(function*() {
      const after = yield* head
      const fiber = yield* Effect.forkChild(onRecord(by, on, Effect.never as Effect.Effect<never, { message: string }>), { startImmediately: true })
      yield* Effect.repeat(recordedSince(after), { until: ({ length }) => length === 1 })
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual((yield* recordedSince(after)).map(({ _tag }) => _tag), ["OperationBegun", "OperationFailed"])
    }))

  it.effect("given a log that does not take it, then nothing is done", () =>
    Effect.gen(function*() {
      let done = false
      const log = yield* EventLog
      const full = EventLog.of({ ...log, append: () => Effect.fail({ _tag: "LogUnavailable", message: "full" } as never) })
      yield* Effect.flip(Effect.provideService(onRecord(by, on, Effect.sync(() => done = true)), EventLog, full))
      assert.isFalse(done)
    }))
})
