/** What would keep a delivery from being made. Every call says that it is a trial, and EC2 answers whether it might. */
import type { EC2 } from "@aws-sdk/client-ec2"
import { Effect } from "effect"
import type { BuildFailed } from "../../../domain/ports/image-builder.ts"
import type { Obstacle } from "../../../domain/ports/image-targets.ts"
import type { TargetOf } from "../../../domain/target.ts"
import type { Ec2 } from "./ec2.ts"
import { copyRegionsOf, permissionsOf } from "./plan.ts"

type Trial = readonly [action: string, ask: (ec2: EC2, abort: { readonly abortSignal: AbortSignal }) => Promise<unknown>]

const [ImageId, SnapshotId, ImportTaskId] = ["ami-00000000000000000", "snap-00000000000000000", "import-snap-00000000000000000"]
const Tags = [{ Key: "kiln:check", Value: "trial" }]
const DryRun = true

const looking: ReadonlyArray<Trial> = [
  ["DescribeImages", (ec2, abort) => ec2.describeImages({ DryRun, Owners: ["self"] }, abort)],
  ["DescribeSnapshots", (ec2, abort) => ec2.describeSnapshots({ DryRun, OwnerIds: ["self"] }, abort)],
  ["DeregisterImage", (ec2, abort) => ec2.deregisterImage({ DryRun, ImageId }, abort)],
  ["DeleteSnapshot", (ec2, abort) => ec2.deleteSnapshot({ DryRun, SnapshotId }, abort)]
]

const importing = ({ bucket, role }: TargetOf<"aws">): ReadonlyArray<Trial> => [
  ["ImportSnapshot", (ec2, abort) => ec2.importSnapshot({
    DryRun, RoleName: role ?? "vmimport", DiskContainer: { Format: "RAW", UserBucket: { S3Bucket: bucket, S3Key: "kiln-check" } },
    TagSpecifications: [{ ResourceType: "import-snapshot-task", Tags }]
  }, abort)],
  ["DescribeImportSnapshotTasks", (ec2, abort) => ec2.describeImportSnapshotTasks({ DryRun }, abort)],
  ["CancelImportTask", (ec2, abort) => ec2.cancelImportTask({ DryRun, ImportTaskId }, abort)],
  ["CreateTags", (ec2, abort) => ec2.createTags({ DryRun, Resources: [SnapshotId], Tags }, abort)],
  ["RegisterImage", (ec2, abort) => ec2.registerImage({
    DryRun, Name: "kiln-check", Architecture: "x86_64", VirtualizationType: "hvm", RootDeviceName: "/dev/xvda",
    BlockDeviceMappings: [{ DeviceName: "/dev/xvda", Ebs: { SnapshotId } }], TagSpecifications: [{ ResourceType: "image", Tags }]
  }, abort)]
]

const sharing = (target: TargetOf<"aws">): ReadonlyArray<Trial> => {
  const [accounts, Add] = [target.share_with_accounts ?? [], permissionsOf(target)]
  const image: Trial = ["ModifyImageAttribute", (ec2, abort) => ec2.modifyImageAttribute({ DryRun, ImageId, LaunchPermission: { Add } }, abort)]
  const snapshot: Trial = ["ModifySnapshotAttribute", (ec2, abort) => ec2.modifySnapshotAttribute({
    DryRun, SnapshotId, Attribute: "createVolumePermission", OperationType: "add", UserIds: [...accounts]
  }, abort)]
  return [...(Add.length > 0 ? [image] : []), ...(accounts.length > 0 ? [snapshot] : [])]
}

const copying = ({ region }: TargetOf<"aws">): Trial =>
  ["CopyImage", (ec2, abort) => ec2.copyImage({ DryRun, Name: "kiln-check", SourceImageId: ImageId, SourceRegion: region }, abort)]

export const obstaclesAtEc2 = Effect.fn("aws.obstaclesAtEc2")(function*(ec2: Ec2, target: TargetOf<"aws">) {
  const here = [...looking, ...importing(target), ...sharing(target)].map((trial) => ({ region: target.region, trial }))
  const copies = copyRegionsOf(target)
  const closed = yield* closedRegions(ec2, target)
  const there = copies.filter((region) => !closed.some(({ what }) => what === region))
    .flatMap((region) => [copying(target), ...looking, ...sharing(target)].map((trial) => ({ region, trial })))
  const tried = yield* Effect.forEach([...here, ...there], ({ region, trial: [action, ask] }) => Effect.match(ec2.try(region, action, ask), {
    onSuccess: () => [],
    onFailure: ({ failure, said, what }): ReadonlyArray<Obstacle> => isRefusal(said.code, said.status) ? [{ what, problem: failure.message }] : []
  }), { concurrency: 4 })
  return [...closed, ...tried.flat()]
})

/** What is named in a trial is not there; that the service sees it means that it would have done what was asked. */
const isRefusal = (code = "", status = 0): boolean => code !== "DryRunOperation" && !/NotFound|Malformed|^InvalidID$|Unavailable/u.test(code) || status === 0 || status >= 500

/** Some regions have to be enabled in an account. */
const closedRegions = (ec2: Ec2, target: TargetOf<"aws">): Effect.Effect<ReadonlyArray<Obstacle>, BuildFailed> => {
  const RegionNames = [target.region, ...copyRegionsOf(target)]
  return Effect.matchEffect(ec2.try(target.region, "DescribeRegions", (aws, abort) => aws.describeRegions({ AllRegions: true }, abort)), {
    onSuccess: ({ Regions = [] }) => Effect.succeed(RegionNames.flatMap((name) => {
      const region = Regions.find(({ RegionName }) => RegionName === name)
      if (region === undefined) return [{ what: name, problem: "there is no region of that name for this account" }]
      return region.OptInStatus === "not-opted-in" ? [{ what: name, problem: "this region is not enabled in the account" }] : []
    })),
    onFailure: ({ failure, what }) => failure.class === "user" ? Effect.succeed([{ what, problem: failure.message }]) : Effect.fail(failure)
  })
}
