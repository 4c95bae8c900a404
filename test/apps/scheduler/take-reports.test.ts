import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { execute } from "../../../apps/execute.ts"
import { ComposeCache } from "../../../apps/scheduler/compose-cache.ts"
import { type AttemptReport, takeReports } from "../../../apps/scheduler/take-reports.ts"
import { Millis, PoolScope } from "../../../domain/ids.ts"
import { CancelCompose } from "../../../domain/compose-commands.ts"
import { EventLog } from "../../../domain/ports/event-log.ts"
import { composeRef } from "../../../domain/recorded.ts"
import { AttemptFailed, AttemptStarted } from "../../../domain/work.ts"
import { BlobsInMemory } from "../../../infra/memory/blobs.ts"
import { EventLogInMemory } from "../../../infra/memory/event-log.ts"
import { claim, composeId, jobs, requestCompose, tenantId, worker } from "../../support/composes.ts"

const speaker = { scope: PoolScope.make("default"), worker }
const ours = { tenantId, ...claim(jobs.resolve) }
const begun = AttemptStarted.make({ claim: ours })
const ended = AttemptFailed.make({ claim: ours, failure: { class: "user", message: "no such package" } })

const requested = execute({ tenantId, messageId: "m", at: Millis.make(0), actor: { kind: "requester", id: "r" } }, requestCompose)
const tags = Effect.gen(function*() {
  const { recorded } = yield* (yield* EventLog).read(composeRef(tenantId, composeId))
  return recorded.flatMap(({ events }) => events.map(({ _tag }) => _tag))
})
/** With a cache of its own each time: what it does not know it has to read. */
const take = (...reports: ReadonlyArray<AttemptReport>) => takeReports(new ComposeCache(), speaker, reports)
const layer = Layer.mergeAll(EventLogInMemory, BlobsInMemory)

describe("a worker's report", () => {
  it.effect("of a start and an end together, is one decision", () =>
    Effect.gen(function*() {
      yield* requested
      assert.deepStrictEqual(yield* take(begun, ended), [])
      const { recorded } = yield* (yield* EventLog).read(composeRef(tenantId, composeId))
      assert.deepStrictEqual(recorded.map(({ events }) => events.map(({ _tag }) => _tag)).at(-1), ["JobStarted", "JobFailed", "ComposeFinished"])
      assert.strictEqual(recorded.length, 2)
      assert.deepStrictEqual(yield* take(begun, ended), [])
    }).pipe(Effect.provide(layer)))

  it.effect("is decided on what the log has, whatever the cache says", () =>
    Effect.gen(function*() {
      yield* requested
      const cache = new ComposeCache()
      yield* takeReports(cache, speaker, [begun])
      yield* execute({ tenantId, messageId: "c", at: Millis.make(0), actor: { kind: "requester", id: "r" } }, CancelCompose.make({ composeId }))
      assert.deepStrictEqual(yield* takeReports(cache, speaker, [ended]), [ours])
    }).pipe(Effect.provide(layer)))

  it.effect("of an end that comes before its start, waits for it", () =>
    Effect.gen(function*() {
      yield* requested
      assert.strictEqual((yield* Effect.flip(take(ended)))._tag, "StartAwaited")
      yield* take(begun)
      yield* take(ended)
      assert.deepStrictEqual((yield* tags).slice(2), ["JobStarted", "JobFailed", "ComposeFinished"])
    }).pipe(Effect.provide(layer)))

  it.effect("of an attempt that is somebody else's, is refused", () =>
    Effect.gen(function*() {
      yield* requested
      yield* take(AttemptStarted.make({ claim: { ...ours, token: "somebody-else-".padEnd(24, "-") as typeof ours.token } }))
      assert.deepStrictEqual(yield* take(ended), [ours])
      assert.deepStrictEqual(yield* take(begun), [ours])
    }).pipe(Effect.provide(layer)))
})
