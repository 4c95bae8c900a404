import { assert, describe, it } from "@effect/vitest"
import { type ComposeEvent, ComposeFinished, CopyCondemned, CopyRemoved, JobSucceeded } from "../../domain/compose-events.ts"
import type { Spared } from "../../domain/copy-removal.ts"
import { Digest, JobId, Millis } from "../../domain/ids.ts"
import { LiveCopies } from "../../domain/live-copies.ts"
import { expired, usualRetention } from "../../domain/retention.ts"
import type { Retention } from "../../domain/policy.ts"
import type { Target } from "../../domain/target.ts"
import { artifact, failed, jobs, queued } from "../support/composes.ts"
import { composeNo, numberOf, recordedFor } from "../support/scheduling.ts"

const day = 86_400_000
const digestOf = (name: string) => Digest.make(`sha256:${name.repeat(64)}`)
const s3: Target = { type: "s3", bucket: "images", credentials: "prod" }
const file: Target = { type: "file" }

/** Its first image delivered to each of these, then ended. */
const delivered = (copies: LiveCopies, number: number, at: number, targets: ReadonlyArray<Target>, { digest = "a", spared, outcome = "succeeded" }: {
  digest?: string; spared?: Spared; outcome?: "succeeded" | "failed"
} = {}) => {
  const uploads = targets.map((target, place) => JobSucceeded.make({
    composeId: composeNo(number), jobId: JobId.make(`0-upload-${place}`), attempt: 1,
    outcome: { _tag: "Uploaded", target, artifact: { ...artifact, digest: digestOf(digest) } }
  }))
  said(copies, number, at, ...uploads, ComposeFinished.make({ composeId: composeNo(number), outcome, ...(spared && { spared }) }))
}
const said = (copies: LiveCopies, number: number, at: number, ...events: ReadonlyArray<ComposeEvent>) =>
  copies.record({ ...recordedFor("acme", number, ...events as [ComposeEvent]), at: Millis.make(at) })
const condemned = (number: number, target = 0) => CopyCondemned.make({ composeId: composeNo(number), image: 0, target, reason: "asked" })
const gone = (number: number, target = 0) => CopyRemoved.make({ composeId: composeNo(number), image: 0, target, reason: "asked" })
const due = (copies: LiveCopies, retention: Retention, now: number) =>
  expired(copies.values(), retention, now).map((each) => `${numberOf(each)}/${each.target} ${each.why}`)
const filled = (fill: (copies: LiveCopies) => void) => {
  const copies = new LiveCopies()
  fill(copies)
  return copies
}

describe("retention", () => {
  it("lets cloud copies go after fourteen days and keeps what lies in Kiln's own store, unless a policy says otherwise", () => {
    const copies = filled((all) => delivered(all, 1, 0, [file, s3]))
    assert.deepStrictEqual(due(copies, usualRetention, 14 * day - 1), [])
    assert.deepStrictEqual(due(copies, usualRetention, 14 * day), ["1/1 age"])
    assert.deepStrictEqual(due(copies, { file: { maxAgeMs: day } }, 2 * day), ["1/0 age"])
    assert.deepStrictEqual(due(copies, { file: { maxAgeMs: day } }, 14 * day), ["1/1 age", "1/0 age"])
    assert.deepStrictEqual(due(copies, { cloud: { maxAgeMs: "forever" } }, 1000 * day), [])
  })

  it("keeps the newest so many of each sort, and lets the oldest go first", () => {
    const copies = filled((all) => [3, 1, 2].forEach((number) => delivered(all, number, number * day, [file, s3])))
    assert.deepStrictEqual(due(copies, { cloud: { maxCount: 1 }, file: { maxCount: 2 } }, 4 * day), ["1/1 count", "1/0 count", "2/1 count"])
  })

  it("spares what is open, kept for good, or the newest good one of a pipeline that has its copies yet", () => {
    const copies = filled((all) => {
      delivered(all, 1, 0, [s3], { spared: { always: true } })
      delivered(all, 2, 0, [s3])
      said(all, 2, day, { _tag: "ComposeReopened", composeId: composeNo(2) })
      delivered(all, 3, 0, [s3], { spared: { pipeline: "web" } })
      delivered(all, 4, 1, [s3], { spared: { pipeline: "web" } })
      delivered(all, 5, 2, [s3], { spared: { pipeline: "web" }, outcome: "failed" })
      delivered(all, 6, 0, [s3], { spared: { pipeline: "db" } })
    })
    assert.deepStrictEqual(due(copies, usualRetention, 20 * day), ["3/0 age", "5/0 age"])
    said(copies, 4, 20 * day, condemned(4))
    assert.deepStrictEqual(due(copies, usualRetention, 20 * day), ["5/0 age"])
  })

  it("asks once for each, and again when the removal was given up", () => {
    const copies = filled((all) => delivered(all, 1, 0, [s3]))
    said(copies, 1, day, condemned(1), { ...queued(jobs.delete), composeId: composeNo(1) })
    assert.deepStrictEqual(due(copies, usualRetention, 20 * day), [])
    said(copies, 1, day, { ...failed(jobs.delete, 1, false), composeId: composeNo(1) })
    assert.deepStrictEqual(due(copies, usualRetention, 20 * day), [])
    said(copies, 1, day, { ...failed(jobs.delete, 2, true), composeId: composeNo(1) })
    assert.deepStrictEqual(due(copies, usualRetention, 20 * day), ["1/0 age"])
    said(copies, 1, day, gone(1))
    assert.deepStrictEqual([due(copies, usualRetention, 20 * day), copies.size], [[], 0])
  })
})

describe("a stored image", () => {
  const alone = (copies: LiveCopies, number: number, target = 0) => copies.storedAlone(composeNo(number), JobId.make(`0-delete-${target}`))

  it("goes with the last that refers to it, and with both if both go at once", () => {
    const copies = filled((all) => [1, 2].forEach((number) => delivered(all, number, number, [file, s3])))
    assert.isUndefined(alone(copies, 1))
    said(copies, 1, 3, condemned(1))
    assert.isUndefined(alone(copies, 1))
    said(copies, 2, 4, condemned(2))
    assert.deepStrictEqual([alone(copies, 1), alone(copies, 2), alone(copies, 1, 1)], [1, 2, undefined])
    said(copies, 1, 5, gone(1))
    assert.deepStrictEqual([alone(copies, 1), alone(copies, 2)], [undefined, 2])
  })

  it("stays where another's removal was given up", () => {
    const copies = filled((all) => [1, 2].forEach((number) => delivered(all, number, number, [file])))
    said(copies, 1, 3, condemned(1))
    said(copies, 2, 3, condemned(2), { ...failed(jobs.delete, 1, true), composeId: composeNo(2) })
    assert.isUndefined(alone(copies, 1))
  })

  it("is nobody else's if the others have other bytes, or went to a cloud", () => {
    const copies = filled((all) => {
      delivered(all, 1, 1, [file])
      delivered(all, 2, 1, [file], { digest: "b" })
      delivered(all, 3, 1, [s3])
    })
    said(copies, 1, 3, condemned(1))
    assert.strictEqual(alone(copies, 1), 1)
  })
})
