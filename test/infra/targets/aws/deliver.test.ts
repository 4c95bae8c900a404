import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll } from "vitest"
import type { Credentials } from "../../../../domain/credentials.ts"
import { Digest } from "../../../../domain/ids.ts"
import { bootMachine } from "../../../../infra/qemu/boot.ts"
import { anotherJob, awsCloud, diskSaying, jobOf, mebi, quickTarget, region, targetOf } from "../../../support/aws-cloud.ts"
import { bootImpossible } from "../../../support/boot.ts"
import { deliver, newJournal, type Said } from "../../../support/deliver.ts"
import { ec2Key } from "../../../support/ec2-stand-in.ts"
import { needs, skipWhere } from "../../../support/needs.ts"

let dir: string
let path: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "kiln-aws-"))
  path = join(dir, "disk.raw")
  writeFileSync(path, diskSaying("box login: "))
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const others = ["us-east-1", "eu-west-1"]
const accounts = ["123456789012", "000000000042"]
const organization = "arn:aws:organizations::123456789012:organization/o-a1b2c3d4e5"
const unit = "arn:aws:organizations::123456789012:ou/o-a1b2c3d4e5/ou-ab12-cdefgh12"

const job = (over: Parameters<typeof targetOf>[0] = {}, settings: Parameters<typeof awsCloud>[0] = {}) => Effect.gen(function*() {
  const here = yield* awsCloud(settings)
  const given = yield* Effect.promise(() => jobOf(dir, { target: targetOf(over), credentials: here.credentials, path }))
  return { ...here, ...given }
})

describe("an image for EC2", () => {
  it.live("arrives as what was built, byte for byte, said to be what it is, and leaves nothing in the bucket", () =>
    Effect.gen(function*() {
      const { attempt, cloud, delivery, objects, uploads } = yield* job({ tags: { team: "blue", "kiln:deployment": "mine" } })
      const said: Said = { progress: [], lines: [] }
      const copy = yield* attempt(undefined, said)
      const [image, snapshot] = [cloud.images[0]!, cloud.snapshots[0]!]
      assert.deepStrictEqual([cloud.images.length, cloud.snapshots.length, objects.size, uploads.size], [1, 1, 0, 0])
      assert.isTrue(snapshot.bytes.equals(readFileSync(path)))
      assert.deepInclude(image, {
        region, state: "available", architecture: "x86_64", bootMode: "legacy-bios", ena: true, imds: "v2.0", root: "/dev/xvda", volumeType: "gp3",
        snapshotId: snapshot.id, name: `kiln debian-13 guest-image x86_64 ${delivery.deliveryId}`
      })
      for (const tags of [image.tags, snapshot.tags, cloud.tasks[0]!.tags]) {
        assert.deepStrictEqual(Object.fromEntries(tags), {
          Name: image.name, team: "blue", "kiln:deployment": delivery.deployment, "kiln:tenant": "acme", "kiln:compose": delivery.composeId,
          "kiln:job": "0-upload-0", "kiln:delivery": delivery.deliveryId
        })
      }
      assert.deepInclude(copy, {
        id: image.id, place: region, digest: Digest.make(`sha256:${delivery.sha256}`), format: "raw", bytesSent: 2 * mebi,
        resources: [{ kind: "image", id: image.id, place: region }, { kind: "snapshot", id: snapshot.id, place: region }]
      })
      assert.deepStrictEqual([...new Set(said.progress.map(({ stage }) => stage))], ["upload", "import", "register", "copy", "deliver"])
      const percents = said.progress.map(({ percent }) => percent)
      assert.deepStrictEqual(percents, [...percents].sort((one, other) => one - other))
      assert.include(said.lines.join("\n"), `image ${image.id} in ${region}`)
    }))

  it.live("is copied to other regions, and shared in each with accounts and organizations", () =>
    Effect.gen(function*() {
      const { attempt, cloud, delivery } = yield* job({
        copy_to_regions: [...others, region, others[0]!], share_with_accounts: accounts, share_with_organizations: [organization, unit], name: "golden image"
      })
      const copy = yield* attempt()
      assert.deepStrictEqual(cloud.images.map(({ region }) => region).toSorted(), [region, ...others].toSorted())
      for (const image of cloud.images) {
        assert.deepInclude(image, { name: "golden image", state: "available" })
        assert.deepStrictEqual([...image.sharedWith].toSorted(), [...accounts, organization, unit].toSorted())
        const snapshot = cloud.snapshots.find(({ id }) => id === image.snapshotId)!
        assert.deepStrictEqual([...snapshot.sharedWith].toSorted(), accounts.toSorted())
        assert.strictEqual(snapshot.tags.get("kiln:delivery"), delivery.deliveryId)
        assert.strictEqual(image.tags.get("kiln:compose"), delivery.composeId)
      }
      assert.deepStrictEqual(copy.resources.map(({ kind }) => kind), ["image", "snapshot", "image", "snapshot", "image", "snapshot"])
      assert.deepStrictEqual(copy.resources.at(-2), { kind: "image", id: copy.id, place: region })
    }))

  it.live("starts the way its disk and its architecture do, unless it is said", () =>
    Effect.gen(function*() {
      const { cloud, delivery } = yield* job()
      const both = diskSaying("both")
      // A second partition, for UEFI.
      both[462 + 4] = 0xef
      both.writeUInt32LE(1, 462 + 8)
      writeFileSync(join(dir, "both.raw"), both)
      const uefi = Buffer.from(both).fill(0, 0, 440)
      writeFileSync(join(dir, "uefi.raw"), uefi)
      const modes = Effect.fnUntraced(function*(name: string, over: Parameters<typeof targetOf>[0] = {}, architecture: "x86_64" | "aarch64" = "x86_64") {
        const { id } = yield* deliver(quickTarget, {
          ...anotherJob(delivery), path: join(dir, name), target: targetOf(over), image: { architecture, type: "aws" }
        }, newJournal(dir))
        const { architecture: known, bootMode } = cloud.images.find((image) => image.id === id)!
        return [known, bootMode]
      })
      assert.deepStrictEqual(yield* modes("disk.raw"), ["x86_64", "legacy-bios"])
      assert.deepStrictEqual(yield* modes("both.raw"), ["x86_64", "uefi-preferred"])
      assert.deepStrictEqual(yield* modes("uefi.raw"), ["x86_64", "uefi"])
      assert.deepStrictEqual(yield* modes("uefi.raw", {}, "aarch64"), ["arm64", "uefi"])
      assert.deepStrictEqual(yield* modes("both.raw", { boot_mode: "legacy-bios" }), ["x86_64", "legacy-bios"])
    }))

  it.live("whose import fails says why, and is sent anew by the next attempt", () =>
    Effect.gen(function*() {
      const { attempt, cloud, objects, s3 } = yield* job()
      const journal = newJournal(dir)
      cloud.importFaults.push("Disk validation failed [Unsupported specified file format]")
      const failed = yield* Effect.flip(attempt(journal))
      assert.deepInclude(failed, { _tag: "BuildFailed", class: "user" })
      assert.match(failed.message, /the import import-snap-\w+ failed: ClientError: Disk validation failed \[Unsupported specified file format\]/)
      assert.strictEqual(objects.size, 0)
      yield* attempt(journal)
      assert.deepStrictEqual(cloud.tasks.map(({ status }) => status), ["deleted", "completed"])
      assert.deepStrictEqual([cloud.images.length, cloud.snapshots.length, objects.size], [1, 1, 0])
      assert.strictEqual(s3.bytesKept, 4 * mebi)
    }))

  it.live("whose import fails is asked for under another token even by who knows nothing of the first", () =>
    Effect.gen(function*() {
      const { attempt, cloud } = yield* job()
      cloud.importFaults.push("Disk validation failed")
      yield* Effect.flip(attempt())
      yield* attempt()
      assert.deepStrictEqual(cloud.tasks.map(({ status }) => status), ["deleted", "completed"])
    }))

  it.live("whose copy fails leaves nothing of that copy, and the next attempt makes another", () =>
    Effect.gen(function*() {
      const { attempt, cloud } = yield* job({ copy_to_regions: ["us-east-1"] })
      const journal = newJournal(dir)
      for (const again of [journal, newJournal(dir)]) {
        cloud.copyFaults.push("The snapshot could not be copied")
        const failed = yield* Effect.flip(attempt(again))
        assert.deepInclude(failed, { class: "target-fault" })
        assert.match(failed.message, /the copy ami-\w+ to us-east-1 failed: The snapshot could not be copied/)
        assert.deepStrictEqual(cloud.images.map((image) => image.region), [region])
        assert.deepStrictEqual(cloud.snapshots.map((snapshot) => snapshot.region), [region])
      }
      yield* attempt(newJournal(dir))
      assert.deepStrictEqual(cloud.images.map((image) => image.region), [region, "us-east-1"])
    }))

  it.live("waits for its turn where twenty imports are running, and sends nothing again", () =>
    Effect.gen(function*() {
      const { attempt, cloud, s3 } = yield* job()
      const busy = Array.from({ length: 20 }, (_, index) => ({
        id: `import-snap-${index}`, region, description: "", tags: new Map(), format: "RAW", bucket: "theirs", key: "disk", status: "active" as const,
        message: "", progress: 1, size: 0, snapshotId: undefined
      }))
      cloud.tasks.push(...busy)
      const journal = newJournal(dir)
      const failed = yield* Effect.flip(attempt(journal))
      assert.strictEqual(failed.class, "target-quota")
      assert.include(failed.message, "ResourceCountLimitExceeded")
      assert.include(failed.message, "maximum number of concurrent import tasks: 20")
      cloud.tasks.shift()
      assert.strictEqual((yield* attempt(journal)).bytesSent, 2 * mebi)
      assert.strictEqual(s3.bytesKept, 2 * mebi)
    }))

  it.live("goes on after a call that was throttled", () =>
    Effect.gen(function*() {
      const { attempt, cloud, ec2 } = yield* job()
      ec2.failWith("RegisterImage", "RequestLimitExceeded", "Request limit exceeded.", 503)
      yield* attempt()
      assert.strictEqual(cloud.images.length, 1)
    }))

  it.live("is refused before anything is sent where its name is taken by another, here or where it is to be copied to", () =>
    Effect.gen(function*() {
      const { attempt, cloud, delivery, ec2, s3 } = yield* job({ name: "golden", copy_to_regions: ["us-east-1"] })
      s3.store.make("acme-american", "us-east-1")
      yield* deliver(quickTarget, { ...anotherJob(delivery), target: targetOf({ name: "golden", region: "us-east-1", bucket: "acme-american" }) }, newJournal(dir))
      const before = s3.bytesKept
      const failed = yield* Effect.flip(attempt())
      assert.deepInclude(failed, { class: "user" })
      assert.include(failed.message, `in us-east-1 there is another image called golden: ${cloud.images[0]!.id}`)
      assert.strictEqual(s3.bytesKept, before)
      // Taken while it was on its way.
      const late = yield* Effect.promise(() => jobOf(dir, { target: targetOf({ name: "silver" }), credentials: delivery.credentials, path }))
      ec2.failWith("RegisterImage", "InvalidAMIName.Duplicate", "AMI name silver is already in use by AMI ami-1")
      assert.deepInclude(yield* Effect.flip(late.attempt()), { class: "target-fault" })
    }))

  it.live("is known by its name where its tags are not to be seen yet", () =>
    Effect.gen(function*() {
      const { attempt, cloud } = yield* job({ copy_to_regions: ["us-east-1"] })
      const { resources } = yield* attempt()
      cloud.blind = 2
      cloud.tokens.clear()
      assert.deepStrictEqual((yield* attempt()).resources, resources)
      assert.deepStrictEqual([cloud.images.length, cloud.snapshots.length, cloud.blind], [2, 2, 0])
    }))

  it.live("fails with the service's own code and words, which hold no key", () =>
    Effect.gen(function*() {
      const { attempt, cloud, credentials, delivery, ec2 } = yield* job()
      cloud.roles.clear()
      const failed = yield* Effect.flip(attempt())
      assert.strictEqual(failed.class, "user")
      assert.include(failed.message, "ec2:ImportSnapshot in eu-central-1: InvalidParameter: The service role vmimport provided does not exist")
      ec2.denied.add("DescribeImages")
      const denied = yield* Effect.flip(attempt())
      assert.deepInclude(denied, { class: "user" })
      assert.include(denied.message, "UnauthorizedOperation")
      const stranger: Credentials = { ...credentials, secret_access_key: "another secret" }
      const refused = yield* Effect.flip(deliver(quickTarget, { ...delivery, credentials: stranger }, newJournal(dir)))
      assert.deepInclude(refused, { class: "user" })
      assert.notInclude(JSON.stringify([failed, denied, refused]), ec2Key.secretAccessKey)
      assert.notInclude(JSON.stringify([failed, denied, refused]), "another secret")
      assert.deepInclude(yield* Effect.flip(deliver(quickTarget, { ...delivery, credentials: undefined }, newJournal(dir))), { class: "user" })
    }))

  it.live("is made in the name of a role that was taken on, under the id that was agreed on", () =>
    Effect.gen(function*() {
      const role = { arn: "arn:aws:iam::123456789012:role/kiln-delivery", externalId: "agreed" }
      const { cloud, credentials, delivery } = yield* job({}, { lends: [role] })
      const lent: Credentials = { ...credentials, role_arn: role.arn, external_id: "agreed" }
      yield* deliver(quickTarget, { ...delivery, credentials: lent }, newJournal(dir))
      assert.strictEqual(cloud.images.length, 1)
      const refused = yield* Effect.flip(deliver(quickTarget, { ...anotherJob(delivery), credentials: { ...lent, external_id: "guessed" } }, newJournal(dir)))
      assert.deepInclude(refused, { class: "user" })
      assert.include(refused.message, "not authorized to perform: sts:AssumeRole")
    }))

  it.live("is given up at once when its attempt is interrupted, and goes on from there", () =>
    Effect.gen(function*() {
      const { attempt, cloud, ec2, s3 } = yield* job()
      cloud.looks = Infinity
      const journal = newJournal(dir)
      const looked = () => ec2.asked.filter(({ action }) => action === "DescribeImportSnapshotTasks").length
      yield* Effect.race(attempt(journal), Effect.callback<void>((resume) => {
        const timer = setInterval(() => looked() > 5 && resume(Effect.void), 1)
        return Effect.sync(() => clearInterval(timer))
      }))
      const asked = ec2.asked.length
      yield* Effect.sleep("20 millis")
      assert.strictEqual(ec2.asked.length, asked)
      cloud.looks = 1
      yield* attempt(journal)
      assert.deepStrictEqual([cloud.tasks.length, cloud.images.length, s3.bytesKept], [1, 1, 2 * mebi])
    }))

  it.effect("is made of disks, of those that need it after a conversion", () =>
    Effect.gen(function*() {
      const { delivery } = yield* job()
      const formatOf = (format: string) => quickTarget.format({ ...delivery, artifact: { ...delivery.artifact, format } })
      assert.deepStrictEqual([yield* formatOf("raw"), yield* formatOf("vmdk"), yield* formatOf("qcow2"), yield* formatOf("raw.zst")], [undefined, undefined, "raw", "raw"])
      assert.deepInclude(yield* Effect.flip(formatOf("oci")), { class: "user" })
    }))
})

describe("a disk with a partition table and a file system", () => {
  needs("sfdisk", "mke2fs", "qemu-img")
  it.live("comes out of the snapshot as it was before it was a qcow2", () =>
    Effect.gen(function*() {
      const [raw, qcow2, converted, ext4] = ["real.raw", "real.qcow2", "converted.raw", "root.ext4"].map((name) => join(dir, name)) as [string, string, string, string]
      writeFileSync(raw, "")
      execFileSync("truncate", ["-s", "24M", raw])
      execFileSync("sfdisk", ["-q", raw], { input: "label: gpt\nsize=1MiB, type=21686148-6449-6E6F-744E-656564454649\nsize=8MiB, type=U\ntype=L\n" })
      execFileSync("mke2fs", ["-q", "-t", "ext4", ext4, "12M"], { stdio: "pipe" })
      execFileSync("dd", [`if=${ext4}`, `of=${raw}`, "bs=1M", "seek=10", "conv=notrunc"], { stdio: "pipe" })
      execFileSync("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", raw, qcow2])
      execFileSync("qemu-img", ["convert", "-f", "qcow2", "-O", "raw", qcow2, converted])
      const { cloud, credentials } = yield* job()
      const { attempt } = yield* Effect.promise(() => jobOf(dir, { target: targetOf(), credentials, path: converted }))
      yield* attempt()
      assert.isTrue(cloud.snapshots[0]!.bytes.equals(readFileSync(raw)))
      assert.strictEqual(cloud.images[0]!.bootMode, "uefi-preferred")
    }))
})

describe("what a snapshot holds", () => {
  skipWhere(bootImpossible("bios") !== undefined, bootImpossible("bios") ?? "")
  it.live("boots", () =>
    Effect.gen(function*() {
      const { attempt, cloud } = yield* job()
      yield* attempt()
      const fetched = join(dir, "fetched.raw")
      writeFileSync(fetched, cloud.snapshots[0]!.bytes)
      const machine = yield* bootMachine({ path: fetched, format: "raw", architecture: "x86_64", firmware: "bios", accelerator: "tcg" }, join(dir, "machine"))
      yield* machine.until(() => machine.console.includes("box login: ") || machine.ended)
      assert.include(machine.console, "box login: ")
    }))
})
