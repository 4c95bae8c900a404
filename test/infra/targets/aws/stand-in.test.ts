/** The stand-in for EC2 by itself: what it lets pass was asked as the service wants it. */
import { assert, describe, it } from "@effect/vitest"
import { EC2 } from "@aws-sdk/client-ec2"
import { STS } from "@aws-sdk/client-sts"
import { Effect } from "effect"
import { diskSaying, region } from "../../../support/aws-cloud.ts"
import { ec2Key, ec2StandIn } from "../../../support/ec2-stand-in.ts"

type Given = Readonly<Record<string, string>>

const disk = diskSaying("a disk", 2 ** 20)
const protectiveOnly = Buffer.from(disk)
protectiveOnly[450] = 0xee
const beyond = Buffer.from(disk)
beyond.writeUInt32LE(4096, 458)
const files: Readonly<Record<string, Buffer>> = {
  disk, empty: Buffer.alloc(2 ** 20), odd: Buffer.concat([disk, Buffer.alloc(1)]), broken: protectiveOnly, beyond, text: Buffer.from("no disk at all")
}

const make = Effect.gen(function*() {
  const kept = new Map(Object.entries(files))
  const standIn = yield* ec2StandIn({ object: async (bucket, key) => bucket === "images" ? kept.get(key) : undefined, lends: [{ arn: "arn:aws:iam::123456789012:role/r", externalId: "x" }] })
  const client = (over: Partial<typeof ec2Key> = {}, at = region) =>
    new EC2({ endpoint: standIn.endpoint, region: at, credentials: { ...ec2Key, ...over }, maxAttempts: 1 })
  const codeOf = (send: Promise<unknown>) => Effect.promise(() => send.then(() => "none", (error: Error) => error.name))
  /** A request as it is written here, well signed; answers what came of it, a code or the text. */
  const raw = (Action: string, given: Given = {}, at = region) => Effect.promise(async () => {
    const ec2 = client({}, at)
    let answer = ""
    ec2.middlewareStack.add((next) => (args) => {
      Object.assign(args.request as object, { body: new URLSearchParams({ Action, Version: "2016-11-15", ...given }).toString() })
      return next(args)
    }, { step: "serialize", priority: "low" })
    ec2.middlewareStack.add((next) => async (args) => {
      const { statusCode } = (await next(args).then(({ response }) => response, (error: { readonly name: string }) => ({ statusCode: error.name }))) as { readonly statusCode: number | string }
      answer = statusCode === 200 ? "none" : String(statusCode)
      return { output: { $metadata: {} }, response: {} }
    }, { step: "deserialize", priority: "high", name: "seen", override: true })
    await ec2.describeRegions()
    return answer
  })
  const idOf = async (ask: Promise<{ readonly ImportTaskId?: string | undefined }>) => (await ask).ImportTaskId!
  const imported = (Format: "RAW" | "VMDK" | "VHD", S3Key: string, at = region) => Effect.promise(async () => {
    const ec2 = client({}, at)
    const id = await idOf(ec2.importSnapshot({ DiskContainer: { Format, UserBucket: { S3Bucket: "images", S3Key } } }))
    for (;;) {
      const { Status, ...detail } = (await ec2.describeImportSnapshotTasks({ ImportTaskIds: [id] })).ImportSnapshotTasks![0]!.SnapshotTaskDetail!
      if (Status !== "active") return { Status, ...detail }
    }
  })
  return { ...standIn, kept, client, codeOf, raw, imported }
})

const importing: Given = { "DiskContainer.Format": "RAW", "DiskContainer.UserBucket.S3Bucket": "images", "DiskContainer.UserBucket.S3Key": "disk" }
const registering = (snapshot: string, over: Given = {}): Given => ({
  Name: "an image", Architecture: "x86_64", VirtualizationType: "hvm", RootDeviceName: "/dev/xvda",
  "BlockDeviceMapping.1.DeviceName": "/dev/xvda", "BlockDeviceMapping.1.Ebs.SnapshotId": snapshot, ...over
})

describe("the stand-in for EC2", () => {
  it.effect("refuses what is unsigned, signed with another secret, by somebody unknown or for a region that is closed", () =>
    Effect.gen(function*() {
      const { client, codeOf, endpoint } = yield* make
      assert.strictEqual(yield* codeOf(client({ secretAccessKey: "another" }).describeRegions()), "SignatureDoesNotMatch")
      assert.strictEqual(yield* codeOf(client({ accessKeyId: "AKIDOTHER" }).describeRegions()), "AuthFailure")
      assert.strictEqual(yield* codeOf(client({ sessionToken: "made up" }).describeRegions()), "AuthFailure")
      assert.strictEqual(yield* codeOf(client({}, "me-south-1").describeRegions()), "AuthFailure")
      const bare = yield* Effect.promise(() => fetch(endpoint, { method: "POST", body: "Action=DescribeRegions&Version=2016-11-15" }))
      assert.strictEqual(bare.status, 403)
      assert.strictEqual(yield* codeOf(client().describeRegions()), "none")
    }))

  it.effect("refuses parameters that it does not know, that are missing, and lists with gaps", () =>
    Effect.gen(function*() {
      const { raw } = yield* make
      assert.strictEqual(yield* raw("DescribeRegions"), "none")
      assert.strictEqual(yield* raw("DescribeRegions", { Version: "2014-01-01" }), "InvalidAction")
      assert.strictEqual(yield* raw("MakeCoffee"), "InvalidAction")
      assert.strictEqual(yield* raw("DescribeRegions", { Regions: "x" }), "UnknownParameter")
      assert.strictEqual(yield* raw("ImportSnapshot", { "DiskContainer.Format": "RAW" }), "MissingParameter")
      assert.strictEqual(yield* raw("DescribeImages", { "Owner.1": "self", "ImageId.2": "ami-1" }), "InvalidParameter")
      assert.strictEqual(yield* raw("DescribeImages"), "InvalidParameterValue")
    }))

  it.effect("says of a trial whether it might be done, and does it not", () =>
    Effect.gen(function*() {
      const { cloud, denied, raw } = yield* make
      assert.strictEqual(yield* raw("ImportSnapshot", { ...importing, DryRun: "true" }), "DryRunOperation")
      denied.add("ImportSnapshot")
      assert.strictEqual(yield* raw("ImportSnapshot", { ...importing, DryRun: "true" }), "UnauthorizedOperation")
      assert.strictEqual(cloud.tasks.length, 0)
    }))

  it.effect("refuses imports without a role or an object, of other formats, with wrong tags, and the twenty-first", () =>
    Effect.gen(function*() {
      const { raw } = yield* make
      assert.strictEqual(yield* raw("ImportSnapshot", { ...importing, RoleName: "nobodys" }), "InvalidParameter")
      assert.strictEqual(yield* raw("ImportSnapshot", { ...importing, "DiskContainer.UserBucket.S3Key": "nothing" }), "InvalidParameter")
      assert.strictEqual(yield* raw("ImportSnapshot", { ...importing, "DiskContainer.Format": "QCOW2" }), "InvalidParameter")
      const tag = (kind: string, key: string) => ({ ...importing, "TagSpecification.1.ResourceType": kind, "TagSpecification.1.Tag.1.Key": key, "TagSpecification.1.Tag.1.Value": "v" })
      assert.strictEqual(yield* raw("ImportSnapshot", tag("snapshot", "k")), "InvalidParameterValue")
      assert.strictEqual(yield* raw("ImportSnapshot", tag("import-snapshot-task", "aws:k")), "InvalidParameterValue")
      for (let times = 0; times < 20; times++) assert.strictEqual(yield* raw("ImportSnapshot", importing), "none")
      assert.strictEqual(yield* raw("ImportSnapshot", importing), "ResourceCountLimitExceeded")
      assert.strictEqual(yield* raw("ImportSnapshot", importing, "us-east-1"), "none")
    }))

  it.effect("answers one token with one task, and refuses it for another question", () =>
    Effect.gen(function*() {
      const { client, cloud, codeOf } = yield* make
      const ask = (S3Key: string) => client().importSnapshot({ ClientToken: "token", DiskContainer: { Format: "RAW", UserBucket: { S3Bucket: "images", S3Key } } })
      const [one, again] = [yield* Effect.promise(() => ask("disk")), yield* Effect.promise(() => ask("disk"))]
      assert.strictEqual(one.ImportTaskId, again.ImportTaskId)
      assert.strictEqual(cloud.tasks.length, 1)
      assert.strictEqual(yield* codeOf(ask("empty")), "IdempotentParameterMismatch")
      assert.strictEqual(yield* codeOf(client().importSnapshot({ ClientToken: "x".repeat(65) })), "MissingParameter")
    }))

  it.effect("imports what is a disk with partitions, and ends all else as deleted with a reason", () =>
    Effect.gen(function*() {
      const { cloud, imported, kept } = yield* make
      const { SnapshotId, Status } = yield* imported("RAW", "disk")
      assert.strictEqual(Status, "completed")
      assert.isTrue(cloud.snapshots.find(({ id }) => id === SnapshotId)!.bytes.equals(disk))
      const why = (format: "RAW" | "VMDK" | "VHD", key: string) => Effect.map(imported(format, key), ({ Status, StatusMessage }) => `${Status}: ${StatusMessage}`)
      assert.include(yield* why("RAW", "text"), "deleted: ClientError: Disk validation failed [The size")
      assert.include(yield* why("RAW", "odd"), "multiple of 512")
      assert.include(yield* why("RAW", "empty"), "no partition table")
      assert.include(yield* why("RAW", "broken"), "GUID partition table is broken")
      assert.include(yield* why("RAW", "beyond"), "ends behind the disk")
      assert.include(yield* why("VMDK", "disk"), "Unsupported VMDK File")
      assert.include(yield* why("VHD", "disk"), "Unsupported VHD File")
      cloud.looks = 1
      kept.set("brief", disk)
      const { length } = cloud.snapshots
      const ending = imported("RAW", "brief")
      const deleting = Effect.suspend(() => Effect.sync(() => kept.delete("brief")))
      const [{ Status: gone }] = yield* Effect.all([ending, Effect.andThen(Effect.promise(async () => {
        while (!cloud.tasks.some(({ key }) => key === "brief")) await new Promise((resolve) => setImmediate(resolve))
      }), deleting)], { concurrency: 2 })
      assert.strictEqual(gone, "deleted")
      assert.strictEqual(cloud.snapshots.length, length)
    }))

  it.effect("registers no image under a bad or a taken name, of no snapshot, without its root, or for arm64 in BIOS", () =>
    Effect.gen(function*() {
      const { imported, raw } = yield* make
      const { SnapshotId = "" } = yield* imported("RAW", "disk")
      const refused = (over: Given) => raw("RegisterImage", registering(SnapshotId, over))
      assert.strictEqual(yield* refused({ Name: "no" }), "InvalidAMIName.Malformed")
      assert.strictEqual(yield* refused({ Name: "no:colons" }), "InvalidAMIName.Malformed")
      assert.strictEqual(yield* refused({ "BlockDeviceMapping.1.Ebs.SnapshotId": "snap-0" }), "InvalidSnapshot.NotFound")
      assert.strictEqual(yield* refused({ RootDeviceName: "/dev/sda1" }), "InvalidBlockDeviceMapping")
      assert.strictEqual(yield* refused({ Architecture: "arm64" }), "InvalidParameterValue")
      assert.strictEqual(yield* refused({ Architecture: "arm64", BootMode: "uefi-preferred" }), "InvalidParameterValue")
      assert.strictEqual(yield* refused({ ImdsSupport: "v3.0" }), "InvalidParameterValue")
      assert.strictEqual(yield* refused({ "BlockDeviceMapping.1.Ebs.VolumeSize": "0" }), "InvalidBlockDeviceMapping")
      assert.strictEqual(yield* refused({ "TagSpecification.1.ResourceType": "snapshot" }), "InvalidParameterValue")
      assert.strictEqual(yield* refused({ Architecture: "arm64", BootMode: "uefi" }), "none")
      assert.strictEqual(yield* refused({}), "InvalidAMIName.Duplicate")
      assert.strictEqual(yield* raw("RegisterImage", registering(SnapshotId), "us-east-1"), "InvalidSnapshot.NotFound")
    }))

  it.effect("keeps a snapshot that an image uses, and knows what was there from what never was", () =>
    Effect.gen(function*() {
      const { client, cloud, codeOf, imported, raw } = yield* make
      const { SnapshotId = "" } = yield* imported("RAW", "disk")
      yield* raw("RegisterImage", registering(SnapshotId))
      const { id: ImageId } = cloud.images[0]!
      assert.strictEqual(yield* codeOf(client().deleteSnapshot({ SnapshotId })), "InvalidSnapshot.InUse")
      assert.strictEqual(yield* codeOf(client().deregisterImage({ ImageId })), "none")
      assert.strictEqual(yield* codeOf(client().deregisterImage({ ImageId })), "InvalidAMIID.Unavailable")
      assert.strictEqual(yield* codeOf(client().deregisterImage({ ImageId: "ami-0" })), "InvalidAMIID.NotFound")
      assert.strictEqual(yield* codeOf(client().deleteSnapshot({ SnapshotId })), "none")
      assert.strictEqual(yield* codeOf(client().deleteSnapshot({ SnapshotId })), "InvalidSnapshot.NotFound")
      assert.strictEqual(yield* codeOf(client().cancelImportTask({ ImportTaskId: cloud.tasks[0]!.id })), "IncorrectState")
      assert.strictEqual(yield* codeOf(client().describeImportSnapshotTasks({ ImportTaskIds: ["import-snap-0"] })), "InvalidConversionTaskId.NotFound")
    }))

  it.effect("copies what is there to where it is asked, unseen at first, without its permissions", () =>
    Effect.gen(function*() {
      const { client, cloud, codeOf, imported, raw } = yield* make
      const { SnapshotId = "" } = yield* imported("RAW", "disk")
      yield* raw("RegisterImage", registering(SnapshotId))
      const { id } = cloud.images[0]!
      yield* codeOf(client().modifyImageAttribute({ ImageId: id, LaunchPermission: { Add: [{ UserId: "123456789012" }] } }))
      const there = client({}, "us-east-1")
      const { ImageId: copy = "" } = yield* Effect.promise(() => there.copyImage({ Name: "an image", SourceImageId: id, SourceRegion: region }))
      assert.strictEqual(yield* codeOf(there.copyImage({ Name: "another", SourceImageId: "ami-0", SourceRegion: region })), "InvalidAMIID.NotFound")
      assert.strictEqual(yield* codeOf(there.copyImage({ Name: "an image", SourceImageId: id, SourceRegion: region })), "InvalidAMIName.Duplicate")
      const look = () => Effect.promise(() => there.describeImages({ ImageIds: [copy] }).then(({ Images }) => Images![0]!.State, (error: Error) => error.name))
      assert.deepStrictEqual([yield* look(), yield* look()], ["InvalidAMIID.NotFound", "available"])
      assert.strictEqual(cloud.images[1]!.sharedWith.size, 0)
      assert.strictEqual(yield* codeOf(client().describeImages({ ImageIds: [copy] })), "InvalidAMIID.NotFound")
    }))

  it.effect("shares with accounts of twelve digits and well-formed organizations, in the form that the service takes", () =>
    Effect.gen(function*() {
      const { client, cloud, codeOf, imported, raw } = yield* make
      const { SnapshotId = "" } = yield* imported("RAW", "disk")
      yield* raw("RegisterImage", registering(SnapshotId))
      const { id: ImageId } = cloud.images[0]!
      const add = (one: object) => codeOf(client().modifyImageAttribute({ ImageId, LaunchPermission: { Add: [one] } }))
      assert.strictEqual(yield* add({ UserId: "42" }), "InvalidAMIAttributeItemValue")
      assert.strictEqual(yield* add({ OrganizationArn: "arn:aws:organizations::123456789012:ou/o-1/ou-1" }), "InvalidAMIAttributeItemValue")
      assert.strictEqual(yield* add({ OrganizationalUnitArn: "arn:aws:organizations::123456789012:ou/o-1/ou-1" }), "none")
      const nested = { SnapshotId, CreateVolumePermission: { Add: [{ UserId: "123456789012" }] } }
      assert.strictEqual(yield* codeOf(client().modifySnapshotAttribute(nested)), "MissingParameter")
      assert.strictEqual(yield* codeOf(client().modifySnapshotAttribute({ SnapshotId, Attribute: "createVolumePermission", OperationType: "add", UserIds: ["42"] })), "InvalidParameterValue")
    }))

  it.effect("lends a role to who knows its id, and its keys open nothing without their token", () =>
    Effect.gen(function*() {
      const { client, codeOf, endpoint } = yield* make
      const sts = new STS({ endpoint, region, credentials: ec2Key, maxAttempts: 1 })
      const asking = { RoleArn: "arn:aws:iam::123456789012:role/r", RoleSessionName: "kiln" }
      assert.strictEqual(yield* codeOf(sts.assumeRole(asking)), "AccessDenied")
      const { AccessKeyId: accessKeyId = "", SecretAccessKey: secretAccessKey = "", SessionToken: sessionToken = "" } =
        (yield* Effect.promise(() => sts.assumeRole({ ...asking, ExternalId: "x" }))).Credentials!
      assert.strictEqual(yield* codeOf(client({ accessKeyId, secretAccessKey }).describeRegions()), "AuthFailure")
      assert.strictEqual(yield* codeOf(client({ accessKeyId, secretAccessKey, sessionToken }).describeRegions()), "none")
    }))

  it.effect("turns pages of five, and lists by tags", () =>
    Effect.gen(function*() {
      const { client, codeOf, imported } = yield* make
      const ids: Array<string> = []
      for (let times = 0; times < 6; times++) ids.push((yield* imported("RAW", "disk")).SnapshotId!)
      yield* Effect.promise(() => client().createTags({ Resources: ids.slice(0, 2), Tags: [{ Key: "team", Value: "blue" }] }))
      const { NextToken, Snapshots = [] } = yield* Effect.promise(() => client().describeSnapshots({ OwnerIds: ["self"] }))
      const rest = yield* Effect.promise(() => client().describeSnapshots({ OwnerIds: ["self"], NextToken: NextToken! }))
      assert.deepStrictEqual([Snapshots.length, rest.Snapshots?.length, rest.NextToken], [5, 1, undefined])
      const blue = yield* Effect.promise(() => client().describeSnapshots({ OwnerIds: ["self"], Filters: [{ Name: "tag:team", Values: ["bl*"] }] }))
      assert.strictEqual(yield* codeOf(client().describeSnapshots({ OwnerIds: ["self"], Filters: [{ Name: "colour", Values: ["blue"] }] })), "InvalidParameterValue")
      assert.deepStrictEqual(blue.Snapshots?.map(({ SnapshotId }) => SnapshotId), ids.slice(0, 2))
    }))
})
