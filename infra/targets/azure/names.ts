/** How what a delivery makes is called and marked at Azure. Pure. */
import { createHash } from "node:crypto"
import type { Delivery, Marks } from "../../../domain/ports/image-targets.ts"
import type { TargetOf } from "../../../domain/target.ts"
import { marksOf } from "../marks.ts"

type Azure = TargetOf<"azure">

export const prefix = "kiln-"
export const blobName = (deliveryId: string) => `${prefix}${deliveryId}.vhd`
export const imageName = ({ deliveryId, target }: Pick<Delivery<Azure>, "deliveryId" | "target">) => target.name ?? `${prefix}${deliveryId}`

/**
 * Three numbers below 2^31, the same for the same delivery: where a compose's id tells its time, later composes have higher
 * versions, so that `latest` means the newest.
 */
export const versionName = ({ composeId, deliveryId, target }: Pick<Delivery<Azure>, "composeId" | "deliveryId" | "target">): string => {
  if (target.gallery?.version !== undefined) return target.gallery.version
  const number = createHash("sha256").update(deliveryId).digest().readUInt32BE(0) >>> 1
  if (composeId[14] !== "7") return `0.0.${number}`
  const [date, time] = new Date(Number.parseInt(composeId.replace("-", "").slice(0, 12), 16)).toISOString().split("T") as [string, string]
  return `${Number(date.replaceAll("-", ""))}.${Number(time.slice(0, 8).replaceAll(":", ""))}.${number}`
}

/** Disks that boot in both ways lose nothing by it, and machines for ARM know no other. */
export const generationOf = ({ generation = "V2" }: Azure): "V1" | "V2" => generation

const names = ["deployment", "tenant", "compose", "job", "delivery"] as const

/** Tags are named with hyphens; names of a blob's metadata are identifiers. */
export const tagsOf = (marks: Marks, deliveryId: string, separator: "-" | "_" = "-"): Record<string, string> => {
  const values = [marks.deployment, marks.tenantId, marks.composeId, marks.jobId, deliveryId]
  return Object.fromEntries(names.map((name, index) => [`kiln${separator}${name}`, separator === "_" ? encodeURIComponent(values[index]!) : values[index]!]))
}

type Tags = Readonly<Record<string, string>> | undefined

const read = (tags: Tags, name: (typeof names)[number]): string | undefined => {
  const value = tags?.[`kiln-${name}`]
  if (value !== undefined) return value
  const encoded = tags?.[`kiln_${name}`]
  return encoded === undefined ? undefined : decoded(encoded)
}
const decoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

export const isOf = (tags: Tags, deliveryId: string): boolean => read(tags, "delivery") === deliveryId

/** Nothing where they are not of this deployment, or not marks of ours. */
export const marksIn = (tags: Tags, deployment: string): Marks | undefined => {
  if (read(tags, "deployment") !== deployment) return undefined
  return marksOf(deployment, { tenantId: read(tags, "tenant"), composeId: read(tags, "compose"), jobId: read(tags, "job") })
}

export const providerPath = ({ resource_group, subscription }: Azure, provider: string) =>
  `/subscriptions/${subscription}/resourceGroups/${resource_group}/providers/${provider}`

export const storageAccountId = (target: Azure) => `${providerPath(target, "Microsoft.Storage")}/storageAccounts/${target.storage_account}`
