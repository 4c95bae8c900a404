/** Identifiers of a disk that depend on nothing but the manifest. Pure. */
import { createHash } from "node:crypto"
import { buildKeyText, type Manifest } from "../../domain/manifest.ts"

export interface DiskIds {
  readonly disk: string
  readonly esp: string
  readonly root: string
  readonly hashSeed: string
  /** Serial number of the ESP's FAT, eight digits. */
  readonly fat: string
  /** One more, by any name. */
  readonly of: (name: string) => string
}

/** A UUID of version 8: its bits mean nothing but themselves. */
const uuidOf = (seed: string): string => {
  const bytes = createHash("sha256").update(seed).digest().subarray(0, 16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x80
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = bytes.toString("hex")
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-")
}

/** By what names the build too: two manifests of one key give the same image. */
export const diskIdsOf = (manifest: Manifest): DiskIds => {
  const digest = createHash("sha256").update(buildKeyText(manifest)).digest("hex")
  const id = (part: string) => uuidOf(`${digest} ${part}`)
  return { disk: id("disk"), esp: id("esp"), root: id("root"), hashSeed: id("hash seed"), fat: id("fat").slice(0, 8), of: id }
}
