/** Whether what is to be trusted are certificates, and nothing else. */
import { X509Certificate } from "node:crypto"
import type { CustomizationFault } from "../../domain/customization-faults.ts"
import type { Customizations } from "../../domain/customizations.ts"

const block = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

export const certificateFaults = ({ cacerts }: Customizations): ReadonlyArray<CustomizationFault> =>
  (cacerts?.pem_certs ?? []).flatMap((text, index) => {
    const reason = wrong(text)
    return reason === undefined ? [] : [{ path: `cacerts.pem_certs[${index}]`, message: reason }]
  })

const wrong = (text: string): string | undefined => {
  const blocks = text.match(block) ?? []
  if (blocks.length === 0) return "is no certificate as PEM"
  // A private key that slipped in would be stored in clear.
  if (text.replace(block, "").trim() !== "") return "has more than certificates as PEM"
  return blocks.every(isCertificate) ? undefined : "is no X.509 certificate"
}

const isCertificate = (pem: string) => {
  try {
    return new X509Certificate(pem).raw.length > 0
  } catch {
    return false
  }
}
