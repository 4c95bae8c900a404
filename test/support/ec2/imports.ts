/** Snapshots of disks that lie in S3: the tasks of the stand-in for EC2 that make them. */
import { type Action, type Cloud, listed, matches, once, paged, set, specified, tag, tagSet, type Task } from "./cloud.ts"
import { Refused } from "../aws-refused.ts"

const importSnapshot: Action = {
  takes: /^(ClientToken|Description|RoleName|DiskContainer\.(Format|Description|UserBucket\.(S3Bucket|S3Key))|TagSpecification\.1\.(ResourceType|Tag\.\d+\.(Key|Value)))$/,
  needs: ["DiskContainer.Format", "DiskContainer.UserBucket.S3Bucket", "DiskContainer.UserBucket.S3Key"],
  act: (cloud, asked) => once(cloud, asked, "ImportSnapshot", async () => {
    const { given, region } = asked
    const format = given["DiskContainer.Format"]!
    if (!["RAW", "VHD", "VMDK"].includes(format)) throw new Refused("InvalidParameter", `The disk container's format ${format} is not supported`)
    const role = given["RoleName"] ?? "vmimport"
    if (!cloud.roles.has(role)) {
      throw new Refused("InvalidParameter", `The service role ${role} provided does not exist or does not have sufficient permissions`)
    }
    const tags = specified(given, "import-snapshot-task").get("import-snapshot-task") ?? new Map<string, string>()
    const [bucket, key] = [given["DiskContainer.UserBucket.S3Bucket"]!, given["DiskContainer.UserBucket.S3Key"]!]
    if ((await cloud.object(bucket, key)) === undefined) throw new Refused("InvalidParameter", `Invalid S3 source location: ${bucket}/${key}`)
    if (cloud.tasks.filter((task) => task.region === region && task.status === "active").length >= cloud.activeImports) {
      throw new Refused("ResourceCountLimitExceeded", `You have reached the maximum number of concurrent import tasks: ${cloud.activeImports}`)
    }
    const task: Task = {
      id: cloud.newId("import-snap"), region, description: given["Description"] ?? "", tags, format, bucket, key,
      status: "active", message: "pending", progress: 3, size: 0, snapshotId: undefined
    }
    cloud.tasks.push(task)
    return shown(task)
  })
}

const describeTasks: Action = {
  takes: /^(ImportTaskId\.\d+|Filter\.\d+\.(Name|Value\.\d+)|MaxResults|NextToken)$/,
  needs: [],
  act: async (cloud, asked) => {
    const wanted = listed(asked.given, "ImportTaskId")
    const here = cloud.tasks.filter(({ region }) => region === asked.region)
    const missing = wanted.find((id) => !here.some((task) => task.id === id))
    if (missing !== undefined) throw new Refused("InvalidConversionTaskId.NotFound", `The import task ID '${missing}' is not found`)
    const chosen = here.filter((task) =>
      (wanted.length === 0 || wanted.includes(task.id)) && matches(asked.given, { "task-state": task.status }, new Map()))
    for (const task of chosen) if (wanted.length > 0 && task.status === "active") await goOn(cloud, task)
    const { next, page } = paged(asked, chosen)
    return set("importSnapshotTaskSet", page.map(shown)) + next
  }
}

/** It is looked at so often, and then it has ended one way or the other. */
const goOn = async (cloud: Cloud, task: Task): Promise<void> => {
  task.progress += Math.ceil(90 / (cloud.looks + 1))
  task.message = "downloading/converting"
  if (task.progress < 90) return
  const bytes = await cloud.object(task.bucket, task.key)
  const why = cloud.importFaults.shift() ?? whyNot(task.format, bytes)
  if (why !== undefined || bytes === undefined) {
    task.status = "deleted"
    task.message = `ClientError: ${why}`
    return
  }
  task.status = "completed"
  task.message = ""
  task.progress = 100
  task.size = bytes.length
  task.snapshotId = cloud.newId("snap")
  cloud.snapshots.push({
    id: task.snapshotId, region: task.region, tags: new Map(), bytes, volumeSize: Math.ceil(bytes.length / 2 ** 30), sharedWith: new Set(),
    description: `Created by AWS-VMImport service for ${task.id}`
  })
}

const whyNot = (format: string, bytes: Buffer | undefined): string | undefined => {
  if (bytes === undefined) return "Disk validation failed [Unable to download the disk image from S3]"
  if (format === "VMDK") return bytes.subarray(0, 4).toString("latin1") === "KDMV" ? undefined : "Disk validation failed [Unsupported VMDK File]"
  if (format === "VHD") return bytes.subarray(-512, -504).toString("latin1") === "conectix" ? undefined : "Disk validation failed [Unsupported VHD File]"
  if (bytes.length === 0 || bytes.length % 512 !== 0) return "Disk validation failed [The size of a raw disk is a multiple of 512 bytes]"
  const looksLikeAFile = bytes.length < 1024 || bytes.readUInt16LE(510) !== 0xaa55
  if (looksLikeAFile) return "Disk validation failed [Unsupported specified file format: no partition table]"
  const entries = [0, 1, 2, 3].map((index) => bytes.subarray(446 + 16 * index, 462 + 16 * index)).filter((entry) => entry[4] !== 0)
  if (entries.length === 0) return "Disk validation failed [the partition table is empty]"
  const protective = entries.some((entry) => entry[4] === 0xee)
  if (protective && bytes.subarray(512, 520).toString("latin1") !== "EFI PART") return "Disk validation failed [the GUID partition table is broken]"
  const beyond = entries.some((entry) => entry[4] !== 0xee && (entry.readUInt32LE(8) + entry.readUInt32LE(12)) * 512 > bytes.length)
  return beyond ? "Disk validation failed [a partition ends behind the disk]" : undefined
}

const cancelTask: Action = {
  takes: /^(ImportTaskId|CancelReason)$/,
  needs: ["ImportTaskId"],
  act: (cloud, { given, region }) => {
    const task = cloud.tasks.find((task) => task.id === given["ImportTaskId"] && task.region === region)
    if (task === undefined) throw new Refused("InvalidConversionTaskId.NotFound", `The import task ID '${given["ImportTaskId"]}' is not found`)
    if (task.status !== "active") throw new Refused("IncorrectState", `The task ${task.id} is in state ${task.status} and cannot be canceled`)
    task.status = "deleted"
    task.message = "User initiated task cancellation"
    return tag("importTaskId", task.id) + tag("previousState", "active") + tag("state", "deleted")
  }
}

const shown = (task: Task) => tag("importTaskId", task.id) + tag("description", task.description) +
  `<snapshotTaskDetail>${tag("status", task.status)}${tag("statusMessage", task.message)}${tag("progress", task.progress)}` +
  `${tag("snapshotId", task.snapshotId)}${task.size === 0 ? "" : tag("diskImageSize", task.size.toFixed(1))}${tag("format", task.format)}` +
  `<userBucket>${tag("s3Bucket", task.bucket)}${tag("s3Key", task.key)}</userBucket></snapshotTaskDetail>${tagSet(task.tags)}`

export const importActions: Readonly<Record<string, Action>> = {
  ImportSnapshot: importSnapshot, DescribeImportSnapshotTasks: describeTasks, CancelImportTask: cancelTask
}
