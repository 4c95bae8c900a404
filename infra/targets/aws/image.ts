/** The image in the target's own region, and who may use images. */
import type { Image } from "@aws-sdk/client-ec2"
import { Effect } from "effect"
import { BuildFailed } from "../../../domain/ports/image-builder.ts"
import { diskStarts } from "./disk-starts.ts"
import { type Ec2, saysCode } from "./ec2.ts"
import { architectureOf, bootModeOf, copyRegionsOf, deliveryTag, descriptionOf, nameOf, permissionsOf, tagIn, tagsOf } from "./plan.ts"
import { note, noted, oursBy, type Run } from "./run.ts"
import { ensureSnapshot } from "./snapshot.ts"

const root = "/dev/xvda"

export const ensureImage = Effect.fn("aws.ensureImage")(function*(run: Run) {
  const { region } = run.delivery.target
  const known = yield* findImage(run, region)
  if (known !== undefined) return known
  const snapshotId = yield* ensureSnapshot(run)
  run.report.progress({ stage: "register", percent: 86 })
  yield* note(run, "image", { attempt: 0 })
  const id = (yield* register(run, snapshotId)) ?? (yield* takenByUs(run, region))
  yield* note(run, "image", { attempt: 0, id })
  run.report.line(`image ${id} in ${region}`)
  return { id, snapshotId, state: "available" }
})

export interface Found {
  readonly id: string
  readonly snapshotId: string | undefined
  readonly state: string | undefined
}

/** That of this delivery, in any region. */
export const findImage = Effect.fnUntraced(function*(run: Run, region: string) {
  const { Images = [] } = yield* run.ec2.ask(region, "DescribeImages", (aws, abort) => aws.describeImages({ Owners: ["self"], Filters: oursBy(run) }, abort))
  if (Images[0] !== undefined) return foundIn(Images[0])
  const { id } = noted(run, region === run.delivery.target.region ? "image" : `copy ${region}`)
  // Tags are not seen everywhere at once.
  return id === undefined ? undefined : yield* lookAt(run.ec2, region, id)
})

export const lookAt = (ec2: Ec2, region: string, id: string): Effect.Effect<(Found & { readonly reason: string | undefined }) | undefined, BuildFailed> =>
  ec2.try(region, "DescribeImages", (aws, abort) => aws.describeImages({ ImageIds: [id] }, abort)).pipe(
    Effect.map(({ Images = [] }) => Images[0] === undefined ? undefined : foundIn(Images[0])),
    Effect.catchIf(saysCode("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"), () => Effect.succeed(undefined)),
    Effect.mapError(({ failure }) => failure)
  )

const foundIn = ({ BlockDeviceMappings = [], ImageId, State, StateReason }: Image) => ({
  id: ImageId!, state: State, reason: StateReason?.Message, snapshotId: BlockDeviceMappings.find(({ Ebs }) => Ebs?.SnapshotId !== undefined)?.Ebs?.SnapshotId
})

/** There is no token for it: its name is. Answers nothing where that is taken. */
const register = Effect.fnUntraced(function*(run: Run, snapshotId: string) {
  const { delivery, ec2, staging } = run
  const starts = staging.format === "raw" ? yield* Effect.promise(() => diskStarts(delivery.path)) : { bios: true, uefi: true }
  return yield* ec2.try(delivery.target.region, "RegisterImage", (aws, abort) => aws.registerImage({
    Name: nameOf(delivery),
    Description: descriptionOf(delivery),
    Architecture: architectureOf(delivery.image.architecture),
    BootMode: bootModeOf(delivery, starts),
    EnaSupport: true,
    VirtualizationType: "hvm",
    ImdsSupport: "v2.0",
    RootDeviceName: root,
    BlockDeviceMappings: [{ DeviceName: root, Ebs: { SnapshotId: snapshotId, VolumeType: "gp3", DeleteOnTermination: true } }],
    TagSpecifications: [{ ResourceType: "image", Tags: tagsOf(delivery) }]
  }, abort)).pipe(
    Effect.flatMap(({ ImageId }) => ImageId === undefined
      ? Effect.fail(new BuildFailed({ class: "target-fault", message: "ec2:RegisterImage answered without an image" }))
      : Effect.succeed<string | undefined>(ImageId)),
    Effect.catchIf((error) => error._tag === "Ec2Failed" && saysCode("InvalidAMIName.Duplicate")(error), () => Effect.succeed(undefined)),
    Effect.mapError((error) => error._tag === "Ec2Failed" ? error.failure : error)
  )
})

const namesakes = ({ delivery, ec2 }: Run, region: string) =>
  Effect.map(
    ec2.ask(region, "DescribeImages", (aws, abort) => aws.describeImages({ Owners: ["self"], Filters: [{ Name: "name", Values: [nameOf(delivery)] }] }, abort)),
    ({ Images = [] }) => Images.filter(({ Name }) => Name === nameOf(delivery))
  )

const isOurs = ({ delivery }: Run) => ({ Tags }: Image) => tagIn(Tags, deliveryTag) === delivery.deliveryId

export const takenByUs = Effect.fnUntraced(function*(run: Run, region: string) {
  const images = yield* namesakes(run, region)
  const ours = images.find(isOurs(run))
  if (ours !== undefined) return ours.ImageId!
  return yield* images.length === 0
    // Taken, and yet not to be seen: that passes.
    ? new BuildFailed({ class: "target-fault", message: `the image ${nameOf(run.delivery)} in ${region} is not to be seen yet` })
    : nameTaken(run, region, images[0]!)
})

const nameTaken = ({ delivery }: Run, region: string, { ImageId }: Image) =>
  new BuildFailed({ class: "user", message: `in ${region} there is another image called ${nameOf(delivery)}: ${ImageId}` })

/** Before anything is sent that would be sent for nothing. */
export const refuseTakenNames = Effect.fnUntraced(function*(run: Run) {
  if (run.delivery.target.name === undefined) return
  const { target } = run.delivery
  for (const region of [target.region, ...copyRegionsOf(target)]) {
    const other = (yield* namesakes(run, region)).find((image) => !isOurs(run)(image))
    if (other !== undefined) return yield* nameTaken(run, region, other)
  }
})

/** Whoever is to copy an image needs its snapshot as well; that cannot be shared with organizations. */
export const share = Effect.fn("aws.share")(function*({ delivery: { target }, ec2 }: Run, region: string, { id, snapshotId }: Found) {
  const permissions = permissionsOf(target)
  if (permissions.length > 0) {
    yield* ec2.ask(region, "ModifyImageAttribute", (aws, abort) => aws.modifyImageAttribute({ ImageId: id, LaunchPermission: { Add: permissions } }, abort))
  }
  const accounts = target.share_with_accounts ?? []
  if (accounts.length > 0 && snapshotId !== undefined) {
    yield* ec2.ask(region, "ModifySnapshotAttribute", (aws, abort) => aws.modifySnapshotAttribute({
      SnapshotId: snapshotId, Attribute: "createVolumePermission", OperationType: "add", UserIds: [...accounts]
    }, abort))
  }
})
