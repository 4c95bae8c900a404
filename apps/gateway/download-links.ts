/** Links that open one file until a given time, without a token. */
import type { Digest, TenantId } from "../../domain/ids.ts"
import type { Signer } from "../../domain/ports/signer.ts"
import { prefix } from "./api/kiln-api.ts"

export interface Download {
  readonly tenant: string
  readonly digest: string
  readonly filename: string
  /** Seconds since 1970. */
  readonly expires: string
}

export const downloadLink = (
  signer: Signer["Service"],
  base: string,
  file: { readonly tenantId: TenantId; readonly digest: Digest; readonly filename: string },
  expiresAt: number
): string => {
  const filename = file.filename.toWellFormed()
  const [tenant, expires] = [file.tenantId, String(Math.floor(expiresAt / 1000))]
  const signature = signer.sign(textOf({ tenant, digest: file.digest, filename, expires }))
  const query = new URLSearchParams({ tenant, expires, signature })
  return `${base}${prefix}/artifacts/${file.digest}/${encodeURIComponent(filename)}?${query}`
}

export const linkHolds = (
  signer: Signer["Service"],
  download: Download,
  signature: string,
  now: number
): "yes" | "expired" | "no" => {
  if (!signer.verify(textOf(download), signature)) return "no"
  return Number(download.expires) * 1000 > now ? "yes" : "expired"
}

/** A JSON list, so that no two downloads have the same text. */
const textOf = ({ tenant, digest, filename, expires }: Download) =>
  JSON.stringify(["download", tenant, digest, filename, expires])
