import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { execute } from "../../../apps/execute.ts"
import { takeReport } from "../../../apps/scheduler/take-report.ts"
import { Millis, PoolId } from "../../../domain/ids.ts"
import { EventLog } from "../../../domain/ports/event-log.ts"
import { composeRef } from "../../../domain/recorded.ts"
import { AttemptFailed, AttemptStarted } from "../../../domain/work.ts"
import { BlobsInMemory } from "../../../infra/memory/blobs.ts"
import { EventLogInMemory } from "../../../infra/memory/event-log.ts"
import { claim, composeId, jobs, requestCompose, tenantId, worker } from "../../support/composes.ts"

const speaker = { pool: PoolId.make("default"), worker }
const ours = { tenantId, ...claim(jobs.resolve) }
const begun = AttemptStarted.make({ claim: ours })
const ended = AttemptFailed.make({ claim: ours, failure: { class: "user", message: "no such package" } })

const requested = execute({ tenantId, messageId: "m", at: Millis.make(0), actor: { kind: "requester", id: "r" } }, requestCompose)
const tags = Effect.gen(function*() {
  const { recorded } = yield* (yield* EventLog).read(composeRef(tenantId, composeId))
  return recorded.flatMap(({ events }) => events.map(({ _tag }) => _tag))
})
const layer = Layer.mergeAll(EventLogInMemory, BlobsInMemory)

describe("a worker's report", () => {
  it.effect("of an end that comes before its start, waits for it", () =>
    Effect.gen(function*() {
      yield* requested
      assert.strictEqual((yield* Effect.flip(takeReport(speaker, ended)))._tag, "StartAwaited")
      yield* takeReport(speaker, begun)
      yield* takeReport(speaker, ended)
      assert.deepStrictEqual((yield* tags).slice(2), ["JobStarted", "JobFailed", "ComposeFinished"])
    }).pipe(Effect.provide(layer)))

  it.effect("of an attempt that is somebody else's, is refused", () =>
    Effect.gen(function*() {
      yield* requested
      yield* takeReport(speaker, AttemptStarted.make({ claim: { ...ours, token: "somebody-else-".padEnd(24, "-") as typeof ours.token } }))
      assert.strictEqual((yield* Effect.flip(takeReport(speaker, ended)))._tag, "ComposeRejected")
      assert.strictEqual((yield* Effect.flip(takeReport(speaker, begun)))._tag, "ComposeRejected")
    }).pipe(Effect.provide(layer)))
})
