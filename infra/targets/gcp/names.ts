/** How what a delivery makes is called and marked at Google. Pure. */
import { createHash } from "node:crypto"
import { v5 } from "uuid"
import type { Marks } from "../../../domain/ports/image-targets.ts"
import { marksOf } from "../marks.ts"

export const prefix = "kiln-"
export const imageName = (deliveryId: string) => `${prefix}${deliveryId}`
export const objectName = (deliveryId: string) => `${prefix}${deliveryId}.tar.gz`

/** The same for the same step: Google then answers with the operation that it began before. */
export const requestId = (deliveryId: string, step: string) => v5(`${deliveryId}/${step}`, "0e7d9a52-6a47-4c53-9d0e-9a1c5cf2c7a4")

/** Labels know small letters, digits, - and _, 63 at most. */
export const labelOf = (text: string): string =>
  /^[a-z0-9_-]{1,63}$/u.test(text) ? text
    : `${text.toLowerCase().replace(/[^a-z0-9_-]/gu, "_").slice(0, 46)}-${createHash("sha256").update(text).digest("hex").slice(0, 16)}`

export const labelsOf = (marks: Marks, deliveryId: string) => ({
  "kiln-deployment": labelOf(marks.deployment),
  "kiln-tenant": labelOf(marks.tenantId),
  "kiln-compose": labelOf(marks.composeId),
  "kiln-job": labelOf(marks.jobId),
  "kiln-delivery": labelOf(deliveryId)
})

type Labels = Readonly<Record<string, unknown>> | null | undefined

export const isOf = (labels: Labels, deliveryId: string): boolean => labels?.["kiln-delivery"] === labelOf(deliveryId)

/** Nothing where they are not of this deployment, or not marks of ours. */
export const marksIn = (labels: Labels, deployment: string): Marks | undefined => {
  const { "kiln-compose": composeId, "kiln-deployment": label, "kiln-job": jobId, "kiln-tenant": tenantId } = labels ?? {}
  return label === labelOf(deployment) ? marksOf(deployment, { tenantId, composeId, jobId }) : undefined
}
