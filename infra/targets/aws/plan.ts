/** What an image is called and said to be at EC2. */
import { createHash } from "node:crypto"
import type { ArchitectureValues, BootModeValues, LaunchPermission, Tag } from "@aws-sdk/client-ec2"
import type { Architecture } from "../../../domain/ids.ts"
import { ComposeId, JobId, TenantId } from "../../../domain/ids.ts"
import type { Delivery, Marks } from "../../../domain/ports/image-targets.ts"
import type { TargetOf } from "../../../domain/target.ts"
import type { Starts } from "./disk-starts.ts"

export type AwsDelivery = Delivery<TargetOf<"aws">>

export const deploymentTag = "kiln:deployment"
export const deliveryTag = "kiln:delivery"

/** The tenant's own first, so that none of them replaces one of ours. */
export const tagsOf = (delivery: AwsDelivery): Array<Tag> => {
  const { composeId, deliveryId, deployment, jobId, target, tenantId } = delivery
  const all = {
    Name: nameOf(delivery), ...target.tags,
    [deploymentTag]: deployment, "kiln:tenant": tenantId, "kiln:compose": composeId, "kiln:job": jobId, [deliveryTag]: deliveryId
  }
  return Object.entries(all).map(([Key, Value]) => ({ Key, Value }))
}

export const tagIn = (tags: ReadonlyArray<Tag> | undefined, key: string): string | undefined => tags?.find(({ Key }) => Key === key)?.Value

/** Of what this deployment has made, and of nothing else. */
export const marksIn = (tags: ReadonlyArray<Tag> | undefined, deployment: string): Marks | undefined => {
  const [tenantId, composeId, jobId] = ["kiln:tenant", "kiln:compose", "kiln:job"].map((key) => tagIn(tags, key))
  if (tagIn(tags, deploymentTag) !== deployment || tenantId === undefined || composeId === undefined || jobId === undefined) return undefined
  try {
    return { deployment, tenantId: TenantId.make(tenantId), composeId: ComposeId.make(composeId), jobId: JobId.make(jobId) }
  } catch {
    return undefined
  }
}

/** In its account and region there is one image of a name; a delivery's is its own. */
export const nameOf = ({ deliveryId, distribution, image, target }: AwsDelivery): string =>
  target.name ?? `kiln ${distribution} ${image.type} ${image.architecture} ${deliveryId}`.replace(/[^A-Za-z0-9()[\] ./'@_-]/gu, "-").slice(-128)

export const descriptionOf = ({ distribution, image, target }: AwsDelivery): string =>
  target.description ?? `${distribution} ${image.type} for ${image.architecture}, built by Kiln`

export const architectureOf = (architecture: Architecture): ArchitectureValues => architecture === "aarch64" ? "arm64" : "x86_64"

/** Instances of arm64 know UEFI alone. Where a disk does not tell how it starts, it is taken to start both ways, as ours do. */
export const bootModeOf = ({ image, target }: AwsDelivery, starts: Starts): BootModeValues => {
  if (target.boot_mode !== undefined) return target.boot_mode
  if (image.architecture === "aarch64") return "uefi"
  if (starts.uefi === starts.bios) return "uefi-preferred"
  return starts.uefi ? "uefi" : "legacy-bios"
}

/** The same question has the same token; a step that failed for good is asked anew as the next attempt. */
export const tokenOf = ({ deliveryId }: AwsDelivery, step: string, attempt: number): string =>
  createHash("sha256").update(JSON.stringify([deliveryId, step, attempt])).digest("hex")

export const permissionsOf = ({ share_with_accounts = [], share_with_organizations = [] }: TargetOf<"aws">): Array<LaunchPermission> => [
  ...share_with_accounts.map((UserId) => ({ UserId })),
  ...share_with_organizations.map((arn) => arn.includes(":ou/") ? { OrganizationalUnitArn: arn } : { OrganizationArn: arn })
]

export const copyRegionsOf = ({ copy_to_regions = [], region }: TargetOf<"aws">): ReadonlyArray<string> =>
  [...new Set(copy_to_regions)].filter((other) => other !== region)

export const formats: Readonly<Record<string, "RAW" | "VMDK">> = { raw: "RAW", vmdk: "VMDK" }

/** Where people see it; other services than Amazon's have no such page that is known here. */
export const pageOf = (region: string, imageId: string): string => {
  const host = region.startsWith("cn-") ? "console.amazonaws.cn" : region.startsWith("us-gov-") ? "console.amazonaws-us-gov.com" : "console.aws.amazon.com"
  return `https://${host}/ec2/home?region=${region}#ImageDetails:imageId=${imageId}`
}
