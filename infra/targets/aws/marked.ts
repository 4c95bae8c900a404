/** What carries the marks of a deployment at EC2. */
import { Effect } from "effect"
import type { BuildFailed } from "../../../domain/ports/image-builder.ts"
import type { Marked } from "../../../domain/ports/image-targets.ts"
import { allOf, type Ec2 } from "./ec2.ts"
import { deploymentTag, marksIn, tagIn } from "./plan.ts"

export const markedAtEc2 = Effect.fn("aws.markedAtEc2")(function*(
  ec2: Ec2, region: string, deployment: string
): Effect.fn.Return<ReadonlyArray<Marked>, BuildFailed> {
  const Filters = [{ Name: `tag:${deploymentTag}`, Values: [deployment] }]
  const images = yield* allOf(
    (NextToken) => ec2.ask(region, "DescribeImages", (aws, abort) => aws.describeImages({ Owners: ["self"], Filters, MaxResults: 500, ...next(NextToken) }, abort)),
    ({ Images }) => Images
  )
  const snapshots = yield* allOf(
    (NextToken) => ec2.ask(region, "DescribeSnapshots", (aws, abort) => aws.describeSnapshots({ OwnerIds: ["self"], Filters, MaxResults: 500, ...next(NextToken) }, abort)),
    ({ Snapshots }) => Snapshots
  )
  const tasks = (yield* allOf(
    (NextToken) => ec2.ask(region, "DescribeImportSnapshotTasks", (aws, abort) => aws.describeImportSnapshotTasks({ MaxResults: 500, ...next(NextToken) }, abort)),
    ({ ImportSnapshotTasks }) => ImportSnapshotTasks
  )).filter(({ Tags }) => tagIn(Tags, deploymentTag) === deployment)

  const marked = (kind: string, id: string, tags: Parameters<typeof marksIn>[0], madeAt?: number): ReadonlyArray<Marked> => {
    const marks = marksIn(tags, deployment)
    return marks === undefined ? [] : [{ resource: { kind, id, place: region }, marks, madeAt }]
  }
  const known = new Set(snapshots.map(({ SnapshotId }) => SnapshotId))
  const untagged = tasks.filter(({ SnapshotTaskDetail }) => SnapshotTaskDetail?.Status === "completed" && !known.has(SnapshotTaskDetail.SnapshotId))
  const left = yield* stillThere(ec2, region, untagged.flatMap(({ SnapshotTaskDetail }) => SnapshotTaskDetail?.SnapshotId ?? []))
  return [
    ...images.flatMap(({ CreationDate, ImageId, Tags }) => marked("image", ImageId!, Tags, timeOf(CreationDate))),
    ...snapshots.flatMap(({ SnapshotId, StartTime, Tags }) => marked("snapshot", SnapshotId!, Tags, StartTime?.getTime())),
    // An import tags its task; the snapshot is tagged by who waited for it, who may have died first.
    ...untagged.flatMap(({ SnapshotTaskDetail, Tags }) => left.has(SnapshotTaskDetail!.SnapshotId!) ? marked("snapshot", SnapshotTaskDetail!.SnapshotId!, Tags) : []),
    ...tasks.flatMap(({ ImportTaskId, SnapshotTaskDetail, Tags }) => SnapshotTaskDetail?.Status === "active" ? marked("import-task", ImportTaskId!, Tags) : [])
  ]
})

const next = (NextToken: string | undefined) => ({ ...(NextToken !== undefined && { NextToken }) })
const timeOf = (date: string | undefined) => date === undefined ? undefined : Date.parse(date)

/** By a filter: a list with one id that is gone would be refused as a whole. */
const stillThere = Effect.fnUntraced(function*(ec2: Ec2, region: string, ids: ReadonlyArray<string>) {
  const there = new Set<string>()
  for (let from = 0; from < ids.length; from += 200) {
    const { Snapshots = [] } = yield* ec2.ask(region, "DescribeSnapshots", (aws, abort) =>
      aws.describeSnapshots({ OwnerIds: ["self"], Filters: [{ Name: "snapshot-id", Values: ids.slice(from, from + 200) }] }, abort))
    for (const { SnapshotId } of Snapshots) there.add(SnapshotId!)
  }
  return there
})
