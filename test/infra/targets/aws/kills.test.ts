/** A delivery that dies at any of its calls, before the service has seen it or before its answer has come back. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Option } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll } from "vitest"
import { anotherJob, awsCloud, diskSaying, jobOf, mebi, quickTarget, region, targetOf } from "../../../support/aws-cloud.ts"
import { deliver, newJournal } from "../../../support/deliver.ts"

/** Of a disk that is sent in two parts, and of one that is sent whole. */
const [inParts, atOnce] = [mebi + 65_536, 65_536]

let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "kiln-aws-kills-"))
  for (const size of [inParts, atOnce]) writeFileSync(join(dir, String(size)), diskSaying("killed", size))
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const target = targetOf({ copy_to_regions: ["us-east-1"], share_with_accounts: ["123456789012"] })

const make = (size: number) => Effect.gen(function*() {
  const here = yield* awsCloud()
  const { cloud, ec2, objects, s3, uploads } = here
  const { delivery } = yield* Effect.promise(() => jobOf(dir, { target, credentials: here.credentials, path: join(dir, String(size)) }))

  /** Dies at its n-th call; answers whether it came so far. */
  const diesAt = (n: number, how: "drop" | "lose", of: typeof delivery, journal: string) => Effect.gen(function*() {
    const death = yield* Deferred.make<void>()
    let calls = 0
    const fault = () => {
      if (++calls !== n) return undefined
      Deferred.doneUnsafe(death, Effect.void)
      return how
    }
    ec2.hook.fault = fault
    s3.fault = () => {
      const meant = fault()
      return meant === undefined ? undefined : meant === "drop" ? { drop: true } : { lose: true }
    }
    const done = yield* Effect.raceFirst(Effect.asSome(deliver(quickTarget, of, journal)), Effect.as(Deferred.await(death), Option.none()))
    ec2.hook.fault = () => undefined
    s3.fault = () => undefined
    return Option.isNone(done)
  })

  /** One image and one snapshot in each region, and nothing else of that job. */
  const oneOfEach = (of: typeof delivery, when: string) => {
    const ours = ({ tags }: { readonly tags: ReadonlyMap<string, string> }) => tags.get("kiln:delivery") === of.deliveryId
    const images = cloud.images.filter(ours)
    assert.deepStrictEqual(images.map(({ region }) => region).toSorted(), [region, "us-east-1"], when)
    for (const image of images) {
      assert.deepStrictEqual([image.state, [...image.sharedWith]], ["available", ["123456789012"]], when)
      assert.deepStrictEqual([...cloud.snapshots.find(({ id }) => id === image.snapshotId)!.sharedWith], ["123456789012"], when)
    }
    assert.deepStrictEqual(cloud.snapshots.filter(ours).map(({ id }) => id).toSorted(), images.map(({ snapshotId }) => snapshotId).toSorted(), when)
    assert.deepStrictEqual(cloud.tasks.filter(ours).map(({ status }) => status), ["completed"], when)
    assert.deepStrictEqual([objects.size, uploads.size], [0, 0], when)
    assert.strictEqual(cloud.snapshots.length, cloud.images.length, when)
  }
  return { ...here, delivery, diesAt, oneOfEach }
})

/** Until there is no n-th call. Answers how many there were. */
const atEveryCall = (how: "drop" | "lose", size: number, keepsJournal: boolean) => Effect.gen(function*() {
  const { delivery, diesAt, oneOfEach, s3 } = yield* make(size)
  for (let n = 1; ; n++) {
    const of = anotherJob(delivery)
    const journal = newJournal(dir)
    const killed = yield* diesAt(n, how, of, journal)
    const { sent } = yield* sending(s3, Effect.suspend(() => killed ? deliver(quickTarget, of, keepsJournal ? journal : newJournal(dir)) : Effect.void))
    oneOfEach(of, `${how} at call ${n}`)
    assert.isAtMost(sent, size)
    if (!killed) return n - 1
  }
})

const sending = <A, E>(s3: { bytesKept: number }, run: Effect.Effect<A, E>) => Effect.gen(function*() {
  const before = s3.bytesKept
  yield* run
  return { sent: s3.bytesKept - before }
})

/** Some fifty deliveries each. */
const patience = 240_000

describe("a delivery to EC2 that is killed", () => {
  it.live("at any call, before the service sees it, makes nothing twice when it comes again", () =>
    Effect.map(atEveryCall("drop", atOnce, true), (calls) => assert.isAbove(calls, 15)), patience)
  it.live("at any call, before its answer comes, makes nothing twice when it comes again", () =>
    Effect.map(atEveryCall("lose", atOnce, true), (calls) => assert.isAbove(calls, 15)), patience)
  it.live("at any call, and comes again on a worker that knows nothing of it, makes nothing twice", () =>
    Effect.map(atEveryCall("lose", inParts, false), (calls) => assert.isAbove(calls, 20)), patience)

  it.live("at any call, and does not come again, leaves nothing that its marks do not lead to", () =>
    Effect.gen(function*() {
      const { cloud, credentials, delivery, diesAt, objects, uploads } = yield* make(inParts)
      for (let n = 1; ; n++) {
        const of = anotherJob(delivery)
        const killed = yield* diesAt(n, "lose", of, newJournal(dir))
        const left = yield* quickTarget.marked(target, credentials, of.deployment)
        assert.isTrue(left.every(({ marks }) => marks.composeId === of.composeId && marks.jobId === of.jobId))
        yield* quickTarget.remove(target, left.map(({ resource }) => resource), credentials)
        assert.deepStrictEqual(
          [cloud.images.length, cloud.snapshots.length, objects.size, uploads.size, cloud.tasks.filter(({ status }) => status === "active").length],
          [0, 0, 0, 0, 0], `killed at call ${n}`
        )
        if (!killed) return
      }
    }), patience)
})
