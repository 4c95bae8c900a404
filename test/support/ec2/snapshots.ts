/** Snapshots, tags and regions of the stand-in for EC2. */
import { type Action, type Cloud, listed, matches, paged, set, type Snapshot, tag, tagsAt, tagSet } from "./cloud.ts"
import { Refused } from "../aws-refused.ts"

const notFound = (id: string) => new Refused("InvalidSnapshot.NotFound", `The snapshot '${id}' does not exist.`)

const snapshotOf = (cloud: Cloud, region: string, id: string): Snapshot => {
  const found = cloud.snapshots.find((snapshot) => snapshot.id === id && snapshot.region === region)
  if (found === undefined) throw notFound(id)
  return found
}

const describeSnapshots: Action = {
  takes: /^(Owner\.\d+|SnapshotId\.\d+|Filter\.\d+\.(Name|Value\.\d+)|MaxResults|NextToken)$/,
  needs: [],
  act: (cloud, asked) => {
    const wanted = listed(asked.given, "SnapshotId")
    if (wanted.length === 0 && listed(asked.given, "Owner").join() !== "self") throw new Refused("InvalidParameterValue", "all snapshots of the world are not listed here")
    for (const id of wanted) snapshotOf(cloud, asked.region, id)
    const chosen = cloud.snapshots.filter((snapshot) => snapshot.region === asked.region && (wanted.length === 0 || wanted.includes(snapshot.id)) &&
      matches(asked.given, { description: snapshot.description, status: "completed", "snapshot-id": snapshot.id }, snapshot.tags))
    const { next, page } = paged(asked, chosen)
    return set("snapshotSet", page.map(({ description, id, tags, volumeSize }) => tag("snapshotId", id) + tag("status", "completed") +
      tag("startTime", "2026-01-01T00:00:00.000Z") + tag("progress", "100%") + tag("volumeSize", volumeSize) + tag("description", description) + tagSet(tags))) + next
  }
}

const deleteSnapshot: Action = {
  takes: /^SnapshotId$/,
  needs: ["SnapshotId"],
  act: (cloud, { given, region }) => {
    const snapshot = snapshotOf(cloud, region, given["SnapshotId"]!)
    const user = cloud.images.find(({ snapshotId }) => snapshotId === snapshot.id)
    if (user !== undefined) throw new Refused("InvalidSnapshot.InUse", `The snapshot ${snapshot.id} is currently in use by ${user.id}`)
    cloud.snapshots.splice(cloud.snapshots.indexOf(snapshot), 1)
    return tag("return", true)
  }
}

/** Only the flat form: what is nested is taken by some other server and does nothing there. */
const modifySnapshot: Action = {
  takes: /^(SnapshotId|Attribute|OperationType|UserId\.\d+)$/,
  needs: ["SnapshotId", "Attribute", "OperationType", "UserId.1"],
  act: (cloud, { given, region }) => {
    const snapshot = snapshotOf(cloud, region, given["SnapshotId"]!)
    if (given["Attribute"] !== "createVolumePermission" || given["OperationType"] !== "add") {
      throw new Refused("InvalidParameterValue", `no ${given["OperationType"]} of ${given["Attribute"]}`)
    }
    const users = listed(given, "UserId")
    const bad = users.find((user) => !/^\d{12}$/.test(user))
    if (bad !== undefined) throw new Refused("InvalidParameterValue", `Invalid value '${bad}' for user id`)
    for (const user of users) snapshot.sharedWith.add(user)
    return tag("return", true)
  }
}

const createTags: Action = {
  takes: /^(ResourceId\.\d+|Tag\.\d+\.(Key|Value))$/,
  needs: ["ResourceId.1", "Tag.1.Key"],
  act: (cloud, { given, region }) => {
    const fresh = tagsAt(given, "Tag")
    const marked = listed(given, "ResourceId").map((id) => {
      if (id.startsWith("snap-")) return snapshotOf(cloud, region, id).tags
      const image = cloud.images.find((image) => image.id === id && image.region === region)
      if (image === undefined) throw new Refused("InvalidID", `The ID '${id}' is not valid`)
      return image.tags
    })
    for (const tags of marked) for (const [key, value] of fresh) tags.set(key, value)
    return tag("return", true)
  }
}

const describeRegions: Action = {
  takes: /^(RegionName\.\d+|AllRegions)$/,
  needs: [],
  act: (cloud, { given }) => {
    const wanted = listed(given, "RegionName")
    const unknown = wanted.find((name) => !cloud.regions.has(name))
    if (unknown !== undefined) throw new Refused("InvalidParameterValue", `Invalid region names: ${unknown}`)
    const chosen = [...cloud.regions].filter(([name, open]) => (open || given["AllRegions"] === "true") && (wanted.length === 0 || wanted.includes(name)))
    return set("regionInfo", chosen.map(([name, open]) => tag("regionName", name) + tag("regionEndpoint", `ec2.${name}.amazonaws.com`) +
      tag("optInStatus", open ? "opt-in-not-required" : "not-opted-in")))
  }
}

export const snapshotActions: Readonly<Record<string, Action>> = {
  DescribeSnapshots: describeSnapshots, DeleteSnapshot: deleteSnapshot, ModifySnapshotAttribute: modifySnapshot, CreateTags: createTags, DescribeRegions: describeRegions
}
