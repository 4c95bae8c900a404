import { assert, describe, it } from "@effect/vitest"
import { CondemnLeftovers, RemoveCopy, RetryCompose } from "../../domain/compose-commands.ts"
import { ComposeCanceled, ComposeReopened, CopyCondemned, CopyRemoved, LeftoversCondemned, type ComposeEvent, JobSucceeded } from "../../domain/compose-events.ts"
import { ComposeRejected } from "../../domain/compose-rejected.ts"
import { ComposeDecider } from "../../domain/compose.ts"
import { fold } from "../../domain/decider.ts"
import { Millis } from "../../domain/ids.ts"
import type { CloudResource } from "../../domain/image-copy.ts"
import { Uploaded } from "../../domain/job.ts"
import { mostPlaces, type Place, placeKey, placeOfTarget, Places } from "../../domain/places.ts"
import { dueDeliveries, type Found, judge, type Notes, notesAfter, standingOf } from "../../domain/reaper.ts"
import type { CloudTarget, Target } from "../../domain/target.ts"
import { artifact, composeId, digest, failed, finished, image, jobs, queued, requested, started, succeeded, tenantId, wholeLife, worker } from "../support/composes.ts"
import { queuedAs, recordedFor } from "../support/scheduling.ts"
import { specify } from "../support/specify.ts"

const hour = 3_600_000
const target: CloudTarget = { type: "s3", bucket: "images", credentials: "lab" }
const object: CloudResource = { kind: "object", id: "k", place: "images" }
const stray: CloudResource = { kind: "multipart-upload", id: "k u1", place: "images" }
const markedBy = (resource: CloudResource, jobId = jobs.upload) => ({ resource, marks: { deployment: "kiln", tenantId, composeId, jobId }, madeAt: undefined })
const delivered = JobSucceeded.make({
  composeId, jobId: jobs.upload, attempt: 1,
  outcome: Uploaded.make({ target, artifact, copy: { id: "k", format: "qcow2", resources: [object], bytesSent: 7, deliveredAt: Millis.make(0) } })
})
const untilUpload = wholeLife.slice(0, -2)
const live: ReadonlyArray<ComposeEvent> = [...untilUpload, delivered, finished("succeeded")]
const canceled: ReadonlyArray<ComposeEvent> = [...untilUpload, ComposeCanceled.make({ composeId })]
const of = (events: ReadonlyArray<ComposeEvent>, resource = object, job = jobs.upload) => standingOf(fold(ComposeDecider, events), markedBy(resource, job))

describe("what carries our marks", () => {
  it("is left behind when its compose has ended and no copy is made of it", () => {
    assert.strictEqual(of(canceled), "leftover")
    assert.strictEqual(of([...untilUpload, failed(jobs.upload, 1, true), finished("failed")]), "leftover")
    assert.strictEqual(of(live, stray), "leftover")
  })

  it("is owned while its compose is open, also again, and while it is part of a copy, also of one that is going", () => {
    const condemned = [...live, CopyCondemned.make({ composeId, image: 0, target: 0, reason: "retention" }), queued(jobs.delete)]
    for (const events of [untilUpload, live, condemned, [...condemned, started(jobs.delete), failed(jobs.delete, 1, true)], [...canceled, ComposeReopened.make({ composeId })]]) {
      assert.strictEqual(of(events), "owned")
    }
    assert.strictEqual(of(live, { ...object, id: "K" }), "owned")
    assert.strictEqual(of([...condemned, CopyRemoved.make({ composeId, image: 0, target: 0, reason: "retention" })]), "leftover")
    assert.strictEqual(of([...untilUpload, succeeded(jobs.upload), finished("succeeded")], stray), "owned")
  })

  it("is unknown when no log has heard of its compose, or its compose of such a delivery", () => {
    assert.strictEqual(of([]), "unknown")
    assert.strictEqual(of(canceled, object, jobs.build), "unknown")
  })
})

describe("leftovers on record", () => {
  const { given } = specify(ComposeDecider)
  const condemn = (...resources: ReadonlyArray<CloudResource>) => CondemnLeftovers.make({ composeId, image: 0, target: 0, resources })
  const condemned = (...resources: ReadonlyArray<CloudResource>) => LeftoversCondemned.make({ composeId, image: 0, target: 0, resources })
  const rejected = (reason: ComposeRejected["reason"]) => new ComposeRejected({ composeId, reason })

  it("are said once, and again when the delivery was tried again since", () => {
    given(...canceled).when(condemn(object, stray)).then(condemned(object, stray))
    given(...canceled, condemned(object)).when(condemn(object, stray)).then(condemned(stray))
    given(...canceled, condemned(object)).when(condemn(object)).thenNothing()
    const again = [...untilUpload, failed(jobs.upload, 1, true), finished("failed"), condemned(object), ComposeReopened.make({ composeId }), queued(jobs.upload, 2), started(jobs.upload, 2), failed(jobs.upload, 2, true), finished("failed")]
    given(...again).when(condemn(object)).then(condemned(object))
  })

  it("hold back a retry of their delivery until nobody removes them any more, as often as they go", () => {
    const [first, second] = [Millis.make(1000), Millis.make(2000)]
    const ended: ReadonlyArray<ComposeEvent> = [...untilUpload, failed(jobs.upload, 1, true), finished("failed")]
    given(...ended).when({ ...condemn(object), until: first }).then({ ...condemned(object), until: first })
    const gone = [...ended, { ...condemned(object), until: first }]
    given(...gone).when({ ...condemn(object), until: first }).thenNothing()
    given(...gone).when({ ...condemn(object), until: second }).then({ ...condemned(object), until: second })
    const retried = { ...queued(jobs.upload, 2, second), held: { worker, digest }, request: requested.request.images[0]! }
    given(...gone, { ...condemned(object), until: second }).when(RetryCompose.make({ composeId }))
      .then(ComposeReopened.make({ composeId }), retried)
  })

  it("are refused of a compose that is open or not there, and of what a copy is made of", () => {
    given(...untilUpload).when(condemn(object)).thenRejected(rejected("NotEnded"))
    given().when(condemn(object)).thenRejected(rejected("NotFound"))
    given(...live).when(condemn(stray, object)).thenRejected(rejected("NotCurrent"))
  })

  it("change nothing of what can be asked for then", () => {
    given(...live, condemned(stray)).when(RemoveCopy.make({ composeId, image: 0, target: 0, reason: "asked" }))
      .then(CopyCondemned.make({ composeId, image: 0, target: 0, reason: "asked" }), { ...queued(jobs.delete), request: requested.request.images[0]! })
    given(...canceled, condemned(object)).when(RetryCompose.make({ composeId })).thenRejected(rejected("Ended"))
  })
})

describe("the two passes", () => {
  const place: Place = { tenantId, target, at: 0 }
  const seen = new Set([placeKey(place)])
  const found = (resource = object, more: Partial<Found> = {}): Found => ({ place, marked: markedBy(resource), standing: "leftover", changedAt: 0, ...more })
  const none: Notes = new Map()
  const verdicts = (each: ReadonlyArray<Found>, notes: Notes, now: number, after = hour) => judge(each, notes, now, after).map(({ verdict }) => verdict)
  const first = notesAfter(judge([found()], none, 10 * hour, hour), none, seen)

  it("note first, wait, and remove in a later sweep, however short the wait", () => {
    assert.deepStrictEqual(verdicts([found()], none, 10 * hour, 0), ["noted"])
    assert.deepStrictEqual(verdicts([found()], first, 10.5 * hour), ["waiting"])
    assert.deepStrictEqual(verdicts([found()], first, 11 * hour), ["due"])
    assert.deepStrictEqual(verdicts([found()], first, 10 * hour, 0), ["due"])
  })

  it("begin anew with what was made since, or whose compose was tried again since", () => {
    assert.deepStrictEqual(verdicts([found(object, { changedAt: 10 * hour + 1 })], first, 12 * hour), ["noted"])
    assert.deepStrictEqual(verdicts([found(object, { marked: { ...markedBy(object), madeAt: 10 * hour + 1 } })], first, 12 * hour), ["noted"])
  })

  it("keep a note where nobody could look, and drop it where the thing is gone or has an owner again", () => {
    assert.deepStrictEqual([...notesAfter([], first, new Set())], [...first])
    assert.strictEqual(notesAfter([], first, seen).size, 0)
  })

  it("only show what nobody knows of", () => {
    const judged = judge([found(object, { standing: "unknown" })], first, 12 * hour, 0)
    assert.deepStrictEqual([judged[0]!.verdict, dueDeliveries(judged).length, notesAfter(judged, none, seen).size], ["unknown", 0, 0])
  })

  it("take what a delivery has left together, in its order, once all of it may go, and a thing seen from two places once", () => {
    assert.deepStrictEqual(dueDeliveries(judge([found(), found(stray)], first, 12 * hour, hour)), [])
    const both = notesAfter(judge([found(stray), found()], none, 0, hour), none, seen)
    const other: Place = { ...place, target: { ...target, prefix: "p/" } as CloudTarget }
    const [delivery, ...more] = dueDeliveries(judge([found(stray), found(), found(object, { place: other })], both, 12 * hour, hour))
    assert.deepStrictEqual([delivery!.map(({ marked: { resource } }) => resource), more], [[stray, object], []])
  })
})

describe("places", () => {
  it("are what targets of a tenant have in common beside the names of single images", () => {
    const places = new Places()
    const aws = { type: "aws", region: "eu-central-1", bucket: "amis", credentials: "prod" } as const
    const targets: ReadonlyArray<Target> = [
      { type: "file" }, { ...aws, name: "web-1" }, { ...aws, name: "web-2", tags: { a: "b" } }, { ...aws, copy_to_regions: ["us-east-1", "eu-west-1"] },
      { type: "oci", registry: "r.example.org", repository: "team/image", tag: "v1" }
    ]
    targets.forEach((_, place) => places.record(recordedFor("acme", 1, queuedAs("upload", { target: place, request: { ...image, targets } }))))
    places.record(recordedFor("acme", 1, queuedAs("build", { request: { ...image, targets: [{ type: "s3", bucket: "never" }] } })))
    assert.deepStrictEqual(places.values().map(({ target }) => target), [
      aws, { ...aws, copy_to_regions: ["eu-west-1", "us-east-1"] }, { type: "oci", registry: "r.example.org", repository: "team/image" }
    ] as ReadonlyArray<Target>)
    assert.deepStrictEqual([places.has(tenantId), places.has("other" as typeof tenantId)], [true, false])
  })

  it("are so many of a tenant and no more, those used last", () => {
    const places = new Places()
    const of = (number: number): Place => ({ tenantId, target: placeOfTarget({ type: "s3", bucket: `b-${number}` }), at: number })
    for (let number = 0; number < mostPlaces; number += 1) places.set(of(number))
    places.set(of(0))
    places.set(of(mostPlaces))
    const buckets = places.values().map(({ at }) => at)
    assert.deepStrictEqual([buckets.length, buckets.includes(0), buckets.includes(1)], [mostPlaces, true, false])
  })
})

