/** Takes away what copies and unfinished deliveries are made of. What is gone already is no failure. */
import { Effect } from "effect"
import type { BuildFailed } from "../../../domain/ports/image-builder.ts"
import type { CloudResource } from "../../../domain/image-copy.ts"
import { type Ec2, type Ec2Failed, saysCode } from "./ec2.ts"

const gone = saysCode(
  "InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "InvalidSnapshot.NotFound", "InvalidConversionTaskId.NotFound", "InvalidConversionTaskId.Malformed"
)

/** Snapshots after the images that use them, wherever in the list they are. */
const order = ["image", "snapshot", "import-task"]
export const isOfEc2 = ({ kind }: CloudResource): boolean => order.includes(kind)

export const removeOfEc2 = (ec2: Ec2, home: string, resources: ReadonlyArray<CloudResource>): Effect.Effect<void, BuildFailed> =>
  Effect.forEach(
    resources.filter(isOfEc2).toSorted((one, other) => order.indexOf(one.kind) - order.indexOf(other.kind)),
    ({ id, kind, place = home }) => removers[kind]!(ec2, place, id),
    { discard: true }
  ).pipe(Effect.mapError(({ failure }) => failure))

const unlessGone = (effect: Effect.Effect<unknown, Ec2Failed>) => Effect.asVoid(Effect.catchIf(effect, gone, () => Effect.void))

const deleteSnapshot = (ec2: Ec2, region: string, id: string) =>
  unlessGone(ec2.try(region, "DeleteSnapshot", (aws, abort) => aws.deleteSnapshot({ SnapshotId: id }, abort)))

const removers: Readonly<Record<string, (ec2: Ec2, region: string, id: string) => Effect.Effect<void, Ec2Failed>>> = {
  image: (ec2, region, id) =>
    unlessGone(ec2.try(region, "DeregisterImage", (aws, abort) => aws.deregisterImage({ ImageId: id, DeleteAssociatedSnapshots: true }, abort))),
  snapshot: deleteSnapshot,
  "import-task": Effect.fnUntraced(function*(ec2: Ec2, region: string, id: string) {
    yield* ec2.try(region, "CancelImportTask", (aws, abort) => aws.cancelImportTask({ ImportTaskId: id, CancelReason: "canceled at Kiln" }, abort)).pipe(
      // It may have ended meanwhile; then there is something else to take away.
      Effect.catchIf(({ said: { status } }) => status === 400, () => Effect.void)
    )
    const task = yield* ec2.try(region, "DescribeImportSnapshotTasks", (aws, abort) => aws.describeImportSnapshotTasks({ ImportTaskIds: [id] }, abort)).pipe(
      Effect.map(({ ImportSnapshotTasks = [] }) => ImportSnapshotTasks[0]?.SnapshotTaskDetail),
      Effect.catchIf(gone, () => Effect.succeed(undefined))
    )
    if (task?.SnapshotId !== undefined) yield* deleteSnapshot(ec2, region, task.SnapshotId)
  })
}
