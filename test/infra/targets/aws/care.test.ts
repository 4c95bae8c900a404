/** Beside a delivery: what would keep it from being made, what there is of it, and how that goes. */
import { assert, describe, it } from "@effect/vitest"
import { EC2 } from "@aws-sdk/client-ec2"
import { Effect } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll } from "vitest"
import { anotherJob, awsCloud, bucket, diskSaying, jobOf, quickTarget, region, targetOf } from "../../../support/aws-cloud.ts"
import { deliver, deployment, newJournal } from "../../../support/deliver.ts"
import type { Cloud } from "../../../support/ec2/cloud.ts"
import { ec2Key } from "../../../support/ec2-stand-in.ts"

let dir: string
let path: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "kiln-aws-care-"))
  path = join(dir, "disk.raw")
  writeFileSync(path, diskSaying("cared for"))
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const target = targetOf({ copy_to_regions: ["us-east-1"], share_with_accounts: ["123456789012"] })
const make = Effect.gen(function*() {
  const here = yield* awsCloud()
  const given = yield* Effect.promise(() => jobOf(dir, { target, credentials: here.credentials, path }))
  return { ...here, ...given }
})

/** Until an import has been looked at. */
const importing = ({ tasks }: Cloud) => Effect.callback<void>((resume) => {
  const timer = setInterval(() => tasks.some(({ message }) => message !== "pending") && resume(Effect.void), 1)
  return Effect.sync(() => clearInterval(timer))
})

describe("a check of a target on EC2", () => {
  const check = (over: Parameters<typeof targetOf>[0], here: Effect.Success<typeof make>) =>
    Effect.map(quickTarget.check({ ...target, ...over }, here.credentials), (found) => found.map(({ problem, what }) => `${what}: ${problem}`))

  it.effect("finds nothing where all is allowed, and leaves nothing behind", () =>
    Effect.gen(function*() {
      const here = yield* make
      assert.deepStrictEqual(yield* check({}, here), [])
      assert.deepStrictEqual([here.cloud.tasks.length, here.cloud.images.length, here.objects.size, here.uploads.size], [0, 0, 0, 0])
    }))

  it.effect("names every action that is not allowed, with the service's words", () =>
    Effect.gen(function*() {
      const here = yield* make
      const actions = [
        "ImportSnapshot", "DescribeImportSnapshotTasks", "CancelImportTask", "DescribeSnapshots", "CreateTags", "RegisterImage", "DescribeImages",
        "ModifyImageAttribute", "ModifySnapshotAttribute", "DeregisterImage", "DeleteSnapshot"
      ]
      for (const action of actions) {
        here.ec2.denied.add(action)
        const found = yield* check({}, here)
        assert.isAbove(found.length, 0, action)
        assert.isTrue(found.every((one) => one.startsWith(`ec2:${action} in `) && one.includes("You are not authorized")), found.join("\n"))
        here.ec2.denied.clear()
      }
      here.ec2.denied.add("CopyImage")
      assert.deepStrictEqual((yield* check({}, here)).map((one) => one.split(":").slice(0, 2).join(":")), ["ec2:CopyImage in us-east-1"])
      assert.deepStrictEqual(yield* check({ copy_to_regions: [] }, here), [])
    }))

  it.effect("says that a region is closed, a bucket missing, a role missing or another service's, a key wrong", () =>
    Effect.gen(function*() {
      const here = yield* make
      assert.deepStrictEqual(yield* check({ copy_to_regions: ["me-south-1", "xx-nowhere-1"] }, here), [
        "me-south-1: this region is not enabled in the account", "xx-nowhere-1: there is no region of that name for this account"
      ])
      assert.isAbove((yield* check({ bucket: "nobodys-bucket" }, here)).filter((one) => one.startsWith("s3:")).length, 0)
      assert.include((yield* check({ role: "importer" }, here)).join(), "iam:GetRole: there is no role importer")
      here.cloud.roles.add("lambda-role")
      assert.deepStrictEqual(yield* check({ role: "lambda-role" }, here), ["iam:GetRole: the role lambda-role does not trust vmie.amazonaws.com"])
      const wrong = yield* quickTarget.check(target, { ...here.credentials, secret_access_key: "wrong" })
      assert.isTrue(["s3:ListBucket", "ec2:DescribeRegions in eu-central-1"].every((what) => wrong.some((one) => one.what === what)))
    }))

  it.effect("says nothing of a role that it may not look at", () =>
    Effect.gen(function*() {
      const here = yield* make
      here.ec2.failWith("GetRole", "AccessDenied", "User is not authorized to perform: iam:GetRole", 403)
      assert.deepStrictEqual(yield* check({ role: "importer" }, here), [])
    }))
})

describe("what is left of deliveries to EC2", () => {
  it.live("is all found by its deployment's marks, and nothing of another's", () =>
    Effect.gen(function*() {
      const { attempt, cloud, credentials, delivery } = yield* make
      const copy = yield* attempt()
      yield* deliver(quickTarget, { ...anotherJob(delivery), deployment: "another" }, newJournal(dir))
      const found = yield* quickTarget.marked(target, credentials, deployment)
      const words = ({ id, kind, place }: (typeof copy.resources)[number]) => `${kind} ${id} ${place}`
      assert.deepStrictEqual(found.map(({ resource }) => words(resource)).toSorted(), copy.resources.map(words).toSorted())
      for (const { madeAt, marks } of found) {
        assert.deepStrictEqual(marks, { deployment, tenantId: delivery.tenantId, composeId: delivery.composeId, jobId: delivery.jobId })
        assert.strictEqual(madeAt, Date.parse("2026-01-01T00:00:00Z"))
      }
      // Who knows our tags may put anything into them.
      cloud.images[0]!.tags.set("kiln:compose", "no id")
      assert.strictEqual((yield* quickTarget.marked(target, credentials, deployment)).length, copy.resources.length - 1)
    }))

  it.live("goes by its record, and what is gone already is no failure", () =>
    Effect.gen(function*() {
      const { attempt, cloud, credentials, delivery } = yield* make
      const { resources } = yield* attempt()
      yield* deliver(quickTarget, anotherJob(delivery), newJournal(dir))
      yield* quickTarget.remove(target, resources.toReversed(), credentials)
      assert.deepStrictEqual([cloud.images.length, cloud.snapshots.length], [2, 2])
      yield* quickTarget.remove(target, resources, credentials)
      yield* quickTarget.remove(target, [
        { kind: "image", id: "ami-00000000000000000" }, { kind: "snapshot", id: "snap-00000000000000000", place: "us-east-1" },
        { kind: "import-task", id: "import-snap-00000000000000000" }, { kind: "object", id: "kiln-import/nothing", place: bucket },
        { kind: "multipart-upload", id: "kiln-import/nothing none", place: bucket }
      ], credentials)
      assert.deepStrictEqual([cloud.images.length, cloud.snapshots.length], [2, 2])
    }))

  it.live("is an import that runs: it is canceled; one that has just ended leaves no snapshot", () =>
    Effect.gen(function*() {
      const { attempt, cloud, credentials, objects } = yield* make
      cloud.looks = Infinity
      yield* Effect.race(attempt(), importing(cloud))
      const found = (yield* quickTarget.marked(target, credentials, deployment)).map(({ resource }) => resource)
      assert.deepStrictEqual(found.map(({ kind, place }) => `${kind} ${place}`), [`import-task ${region}`, `object ${bucket}`])
      yield* quickTarget.remove(target, found, credentials)
      assert.deepStrictEqual([cloud.tasks.map(({ status }) => status), objects.size], [["deleted"], 0])
      // Between the list and the removal it has ended.
      const again = yield* make
      again.cloud.looks = Infinity
      yield* Effect.race(again.attempt(), importing(again.cloud))
      const late = (yield* quickTarget.marked(target, again.credentials, deployment)).map(({ resource }) => resource)
      again.cloud.looks = 0
      yield* Effect.promise(() => new EC2({
        endpoint: again.ec2.endpoint, region, credentials: ec2Key
      }).describeImportSnapshotTasks({ ImportTaskIds: [again.cloud.tasks[0]!.id] }))
      yield* quickTarget.remove(target, late, again.credentials)
      assert.deepStrictEqual([again.cloud.tasks[0]!.status, again.cloud.snapshots.length, again.objects.size], ["completed", 0, 0])
    }))

  it.effect("is no business of a provider's whose it is not, and of nobody without credentials", () =>
    Effect.gen(function*() {
      const { credentials } = yield* make
      assert.deepInclude(yield* Effect.flip(quickTarget.remove(target, [{ kind: "blob", id: "x" }], credentials)), { class: "platform" })
      assert.deepInclude(yield* Effect.flip(quickTarget.marked(target, undefined, deployment)), { class: "user" })
      assert.deepInclude(yield* Effect.flip(quickTarget.check(target, { provider: "oci" })), { class: "user" })
    }))
})
