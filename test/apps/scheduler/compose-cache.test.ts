import { assert, describe, it } from "@effect/vitest"
import { ComposeCache } from "../../../apps/scheduler/compose-cache.ts"
import { ComposeDecider } from "../../../domain/compose.ts"
import { fold } from "../../../domain/decider.ts"
import { composeId, jobs, queued, recordedOf, requested, started, succeeded, tenantId } from "../../support/composes.ts"

const events = [requested, queued(jobs.resolve), started(jobs.resolve), succeeded(jobs.resolve), queued(jobs.build)]
const recorded = recordedOf(events)
const seenAt = (revision: number) => ({ tenantId, compose: fold(ComposeDecider, events.slice(0, revision)), revision, trace: undefined })

describe("what the scheduler remembers of a compose", () => {
  it("follows the log", () => {
    const cache = new ComposeCache()
    for (const each of recorded) cache.record(each)
    assert.strictEqual(cache.get(tenantId, composeId)?.revision, events.length)
    assert.strictEqual(cache.get(tenantId, composeId)?.compose.jobs.get(jobs.build)?.state, "queued")
  })
  it("never goes back, though who has appended hears of it late", () => {
    const cache = new ComposeCache()
    cache.set(composeId, seenAt(5))
    cache.set(composeId, seenAt(3))
    assert.strictEqual(cache.get(tenantId, composeId)?.revision, 5)
  })
  it("is forgotten where a decision is missing between it and the log", () => {
    const cache = new ComposeCache()
    cache.set(composeId, seenAt(2))
    cache.record(recorded[0]!)
    assert.strictEqual(cache.get(tenantId, composeId)?.revision, 2)
    cache.record(recorded[3]!)
    assert.isUndefined(cache.get(tenantId, composeId))
  })
})
