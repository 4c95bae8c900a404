/** Images of the stand-in for EC2. */
import { type Action, type Asked, type Cloud, type Image, listed, matches, once, paged, set, specified, tag, tagSet } from "./cloud.ts"
import { Refused } from "../aws-refused.ts"

const imageOf = (cloud: Cloud, region: string, id: string): Image => {
  const found = cloud.images.find((image) => image.id === id && image.region === region)
  if (found !== undefined) return found
  throw cloud.deregistered.has(id)
    ? new Refused("InvalidAMIID.Unavailable", `The image ID '${id}' is no longer available`)
    : new Refused("InvalidAMIID.NotFound", `The image id '[${id}]' does not exist`)
}

const nameFree = (cloud: Cloud, region: string, name: string) => {
  if (!/^[A-Za-z0-9()[\] ./'@_-]{3,128}$/.test(name)) {
    throw new Refused("InvalidAMIName.Malformed", "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, and only ( ) . - / _")
  }
  const taken = cloud.images.find((image) => image.name === name && image.region === region)
  if (taken !== undefined) throw new Refused("InvalidAMIName.Duplicate", `AMI name ${name} is already in use by AMI ${taken.id}`)
}

const invalid = (message: string) => new Refused("InvalidParameterValue", message)

const mapping = "BlockDeviceMapping.1"
const registerImage: Action = {
  takes: /^(Name|Description|Architecture|BootMode|EnaSupport|VirtualizationType|ImdsSupport|RootDeviceName|BlockDeviceMapping\.1\.(DeviceName|Ebs\.(SnapshotId|VolumeSize|VolumeType|DeleteOnTermination))|TagSpecification\.\d+\.(ResourceType|Tag\.\d+\.(Key|Value)))$/,
  needs: ["Name", "Architecture", "RootDeviceName", `${mapping}.DeviceName`, `${mapping}.Ebs.SnapshotId`, "VirtualizationType"],
  act: (cloud, { given, region }) => {
    nameFree(cloud, region, given["Name"]!)
    if (!["x86_64", "arm64"].includes(given["Architecture"]!)) throw invalid(`Invalid architecture '${given["Architecture"]}'`)
    if (given["VirtualizationType"] !== "hvm") throw invalid("only hvm images are started by today's instances")
    const bootMode = given["BootMode"] ?? "legacy-bios"
    if (!["legacy-bios", "uefi", "uefi-preferred"].includes(bootMode)) throw invalid(`Invalid boot mode '${bootMode}'`)
    if (given["Architecture"] === "arm64" && bootMode !== "uefi") throw invalid(`The boot mode ${bootMode} is not supported for the architecture arm64`)
    if (given["ImdsSupport"] !== undefined && given["ImdsSupport"] !== "v2.0") throw invalid(`Invalid value '${given["ImdsSupport"]}' for imdsSupport`)
    if (given["RootDeviceName"] !== given[`${mapping}.DeviceName`]) {
      throw new Refused("InvalidBlockDeviceMapping", `the root device ${given["RootDeviceName"]} is not in the mapping`)
    }
    const snapshot = cloud.snapshots.find(({ id, region: there }) => id === given[`${mapping}.Ebs.SnapshotId`] && there === region)
    if (snapshot === undefined) throw new Refused("InvalidSnapshot.NotFound", `The snapshot '${given[`${mapping}.Ebs.SnapshotId`]}' does not exist.`)
    if (Number(given[`${mapping}.Ebs.VolumeSize`] ?? snapshot.volumeSize) < snapshot.volumeSize) {
      throw new Refused("InvalidBlockDeviceMapping", `Volume of size ${given[`${mapping}.Ebs.VolumeSize`]}GB is smaller than snapshot '${snapshot.id}', expect size>= ${snapshot.volumeSize}GB`)
    }
    const tags = specified(given, "image").get("image") ?? new Map<string, string>()
    const image: Image = {
      id: cloud.newId("ami"), region, name: given["Name"]!, description: given["Description"] ?? "", architecture: given["Architecture"]!, bootMode,
      ena: given["EnaSupport"] === "true", imds: given["ImdsSupport"], root: given["RootDeviceName"]!,
      volumeType: given[`${mapping}.Ebs.VolumeType`] ?? "gp2", snapshotId: snapshot.id, tags, sharedWith: new Set(), state: "available", reason: undefined, looks: 0
    }
    cloud.images.push(image)
    return tag("imageId", image.id)
  }
}

const copyImage: Action = {
  takes: /^(ClientToken|Name|Description|SourceImageId|SourceRegion|CopyImageTags|TagSpecification\.\d+\.(ResourceType|Tag\.\d+\.(Key|Value)))$/,
  needs: ["Name", "SourceImageId", "SourceRegion"],
  act: (cloud, asked) => once(cloud, asked, "CopyImage", async () => {
    const { given, region } = asked
    nameFree(cloud, region, given["Name"]!)
    const source = imageOf(cloud, given["SourceRegion"]!, given["SourceImageId"]!)
    if (source.state !== "available") throw new Refused("InvalidRequest", `The image ${source.id} is in state ${source.state}`)
    const tags = specified(given, "image", "snapshot")
    const from = cloud.snapshots.find(({ id }) => id === source.snapshotId)!
    const snapshot = {
      ...from, id: cloud.newId("snap"), region, tags: tags.get("snapshot") ?? new Map<string, string>(), sharedWith: new Set<string>(),
      description: `Copied for DestinationAmi from SourceAmi ${source.id}`
    }
    cloud.snapshots.push(snapshot)
    const image: Image = {
      ...source, id: cloud.newId("ami"), region, name: given["Name"]!, description: given["Description"] ?? "", snapshotId: snapshot.id,
      tags: new Map([...(given["CopyImageTags"] === "true" ? source.tags : []), ...(tags.get("image") ?? [])]),
      sharedWith: new Set(), state: "pending", looks: 0
    }
    cloud.images.push(image)
    return tag("imageId", image.id)
  })
}

/** A copy just asked for is not known everywhere at once. */
const look = (cloud: Cloud, image: Image) => {
  if (image.state !== "pending") return
  image.looks += 1
  if (image.looks === 1) throw new Refused("InvalidAMIID.NotFound", `The image id '[${image.id}]' does not exist`)
  if (image.looks <= cloud.looks) return
  image.reason = cloud.copyFaults.shift()
  image.state = image.reason === undefined ? "available" : "failed"
}

const describeImages: Action = {
  takes: /^(Owner\.\d+|ImageId\.\d+|Filter\.\d+\.(Name|Value\.\d+)|MaxResults|NextToken)$/,
  needs: [],
  act: (cloud, asked) => {
    const wanted = listed(asked.given, "ImageId")
    if (wanted.length === 0 && listed(asked.given, "Owner").join() !== "self") throw invalid("all images of the world are not listed here")
    for (const id of wanted) look(cloud, imageOf(cloud, asked.region, id))
    if (asked.given["Filter.1.Name"]?.startsWith("tag:") && cloud.blind > 0) {
      cloud.blind -= 1
      return set("imagesSet", [])
    }
    const chosen = cloud.images.filter((image) => image.region === asked.region && (wanted.length === 0 || wanted.includes(image.id)) &&
      matches(asked.given, { name: image.name, state: image.state }, image.tags))
    const { next, page } = paged(asked, chosen)
    return set("imagesSet", page.map(shown)) + next
  }
}

const shown = (image: Image) => tag("imageId", image.id) + tag("imageState", image.state) + tag("name", image.name) + tag("description", image.description) +
  tag("architecture", image.architecture) + tag("bootMode", image.bootMode) + tag("enaSupport", image.ena) + tag("imdsSupport", image.imds) +
  tag("creationDate", "2026-01-01T00:00:00.000Z") + tag("rootDeviceName", image.root) +
  set("blockDeviceMapping", [tag("deviceName", image.root) + `<ebs>${image.state === "available" ? tag("snapshotId", image.snapshotId) : ""}${tag("volumeType", image.volumeType)}</ebs>`]) +
  (image.reason === undefined ? "" : `<stateReason>${tag("code", "Client.InternalError")}${tag("message", image.reason)}</stateReason>`) + tagSet(image.tags)

const deregisterImage: Action = {
  takes: /^(ImageId|DeleteAssociatedSnapshots)$/,
  needs: ["ImageId"],
  act: (cloud, { given, region }) => {
    const image = imageOf(cloud, region, given["ImageId"]!)
    cloud.images.splice(cloud.images.indexOf(image), 1)
    cloud.deregistered.add(image.id)
    if (given["DeleteAssociatedSnapshots"] === "true" && !cloud.images.some(({ snapshotId }) => snapshotId === image.snapshotId)) {
      cloud.snapshots.splice(cloud.snapshots.findIndex(({ id }) => id === image.snapshotId), 1)
    }
    return tag("return", true)
  }
}

const modifyImage: Action = {
  takes: /^(ImageId|LaunchPermission\.Add\.\d+\.(UserId|OrganizationArn|OrganizationalUnitArn))$/,
  needs: ["ImageId"],
  act: (cloud, { given, region }: Asked) => {
    const image = imageOf(cloud, region, given["ImageId"]!)
    if (image.state !== "available") throw new Refused("InvalidAMIID.Unavailable", `The image ID '${image.id}' is not available`)
    const added = Object.entries(given).filter(([name]) => name.startsWith("LaunchPermission"))
    const rules: Record<string, RegExp> = {
      UserId: /^\d{12}$/, OrganizationArn: /^arn:aws[a-z-]*:organizations::\d{12}:organization\/o-[a-z0-9]+$/,
      OrganizationalUnitArn: /^arn:aws[a-z-]*:organizations::\d{12}:ou\/o-[a-z0-9]+\/ou-[a-z0-9-]+$/
    }
    const bad = added.find(([name, value]) => !rules[name.split(".").at(-1)!]!.test(value))
    if (bad !== undefined) throw new Refused("InvalidAMIAttributeItemValue", `Invalid attribute item value "${bad[1]}" for ${bad[0].split(".").at(-1)} item type.`)
    for (const [, value] of added) image.sharedWith.add(value)
    return tag("return", true)
  }
}

export const imageActions: Readonly<Record<string, Action>> = {
  RegisterImage: registerImage, CopyImage: copyImage, DescribeImages: describeImages, DeregisterImage: deregisterImage, ModifyImageAttribute: modifyImage
}
