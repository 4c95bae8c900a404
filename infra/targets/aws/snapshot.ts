/** A snapshot of the disk: found, or imported from S3. */
import type { ImportSnapshotTask, Snapshot } from "@aws-sdk/client-ec2"
import { Effect } from "effect"
import { BuildFailed } from "../../../domain/ports/image-builder.ts"
import { allOf, saysCode } from "./ec2.ts"
import { deliveryTag, descriptionOf, formats, tagIn, tagsOf, tokenOf } from "./plan.ts"
import { note, noted, oursBy, type Run, watch } from "./run.ts"

export const ensureSnapshot = Effect.fn("aws.ensureSnapshot")(function*(run: Run) {
  const known = yield* findSnapshot(run)
  if (known !== undefined) return known
  const taskId = yield* ensureTask(run)
  const snapshotId = yield* imported(run, taskId)
  // The import tags its task and not what it makes.
  const { delivery: { target: { region } }, ec2 } = run
  yield* ec2.ask(region, "CreateTags", (aws, abort) => aws.createTags({ Resources: [snapshotId], Tags: tagsOf(run.delivery) }, abort))
  yield* note(run, "snapshot", { attempt: 0, id: snapshotId })
  return snapshotId
})

const findSnapshot = Effect.fnUntraced(function*(run: Run) {
  const { delivery: { target: { region } }, ec2 } = run
  const find = (query: { readonly Filters: ReturnType<typeof oursBy> } | { readonly SnapshotIds: Array<string> }) =>
    ec2.try(region, "DescribeSnapshots", (aws, abort) => aws.describeSnapshots({ OwnerIds: ["self"], ...query }, abort))
  const { Snapshots = [] } = yield* Effect.mapError(find({ Filters: oursBy(run) }), ({ failure }) => failure)
  const { id } = noted(run, "snapshot")
  // Tags are not seen everywhere at once.
  const found: Snapshot | undefined = Snapshots[0] ?? (id === undefined ? undefined : yield* find({ SnapshotIds: [id] }).pipe(
    Effect.map(({ Snapshots = [] }) => Snapshots[0]),
    Effect.catchIf(saysCode("InvalidSnapshot.NotFound"), () => Effect.succeed(undefined)),
    Effect.mapError(({ failure }) => failure)
  ))
  return found?.SnapshotId
})

const failedStates = ["deleted", "deleting", "error"]
const hasFailed = ({ SnapshotTaskDetail }: ImportSnapshotTask) => failedStates.includes(SnapshotTaskDetail?.Status ?? "")

const ensureTask = Effect.fnUntraced(function*(run: Run) {
  const { delivery: { target: { region } }, ec2 } = run
  const before = noted(run, "import")
  if (before.id !== undefined) return before.id
  // There is no filter for tags.
  const all = yield* allOf(
    (NextToken) => ec2.ask(region, "DescribeImportSnapshotTasks", (aws, abort) => aws.describeImportSnapshotTasks({ MaxResults: 500, ...(NextToken !== undefined && { NextToken }) }, abort)),
    ({ ImportSnapshotTasks }) => ImportSnapshotTasks
  )
  const ours = all.filter(({ Tags }) => tagIn(Tags, deliveryTag) === run.delivery.deliveryId)
  const attempt = Math.max(before.attempt, ours.filter(hasFailed).length)
  const id = ours.find((task) => !hasFailed(task))?.ImportTaskId ?? (yield* begin(run, attempt))
  yield* note(run, "import", { attempt, id })
  return id
})

const begin = Effect.fnUntraced(function*(run: Run, attempt: number) {
  const { delivery, ec2, report, staging } = run
  const { region, role } = delivery.target
  yield* staging.upload(run)
  yield* note(run, "import", { attempt })
  const { ImportTaskId } = yield* ec2.ask(region, "ImportSnapshot", (aws, abort) => aws.importSnapshot({
    ClientToken: tokenOf(delivery, "import", attempt),
    Description: descriptionOf(delivery),
    RoleName: role ?? "vmimport",
    DiskContainer: {
      Format: formats[staging.format]!,
      Description: descriptionOf(delivery),
      UserBucket: { S3Bucket: staging.bucket, S3Key: staging.key }
    },
    TagSpecifications: [{ ResourceType: "import-snapshot-task", Tags: tagsOf(delivery) }]
  }, abort))
  if (ImportTaskId === undefined) return yield* new BuildFailed({ class: "target-fault", message: "ec2:ImportSnapshot answered without a task" })
  report.line(`importing the disk as a snapshot: ${ImportTaskId}`)
  return ImportTaskId
})

/** A failed import ends as `deleted`, for which the SDK's own waiter would wait until its time is over. */
const imported = Effect.fnUntraced(function*(run: Run, taskId: string) {
  const { delivery: { target: { region } }, ec2, pace, report, staging } = run
  let said = ""
  const task = yield* watch(pace, () => ec2.ask(region, "DescribeImportSnapshotTasks", (aws, abort) =>
    aws.describeImportSnapshotTasks({ ImportTaskIds: [taskId] }, abort)).pipe(Effect.map(({ ImportSnapshotTasks = [] }) => {
    const [task] = ImportSnapshotTasks
    const { Progress = "0", Status, StatusMessage = "" } = task?.SnapshotTaskDetail ?? {}
    report.progress({ stage: "import", percent: 60 + 0.25 * Number(Progress) || 60 })
    if (StatusMessage !== said && StatusMessage !== "") report.line(`import: ${StatusMessage}`)
    said = StatusMessage
    return Status === "completed" || failedStates.includes(Status ?? "") ? task : undefined
  })))
  const { SnapshotId, Status, StatusMessage = "no word of why" } = task.SnapshotTaskDetail ?? {}
  if (Status === "completed" && SnapshotId !== undefined) return SnapshotId
  const { attempt } = noted(run, "import")
  yield* note(run, "import", { attempt: attempt + 1 })
  const hopeless = StatusMessage.startsWith("ClientError")
  if (hopeless) yield* staging.remove
  return yield* new BuildFailed({ class: hopeless ? "user" : "target-fault", message: `the import ${taskId} failed: ${StatusMessage}` })
})
