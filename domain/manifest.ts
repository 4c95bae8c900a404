/** Lock and manifest: what exactly goes into an image. Both are plain data with one canonical text, so a digest names them. */
import { Schema } from "effect"
import { ImageRequest } from "./compose-request.ts"
import { SealedCustomizations } from "./customizations.ts"

/** One thing to build: a compose's request narrowed to one of its images. */
export interface ImageSpec {
  readonly distribution: string
  readonly image: ImageRequest
  readonly customizations: SealedCustomizations
}

export const LockedPackage = Schema.Struct({
  name: Schema.String,
  version: Schema.String,
  architecture: Schema.String,
  /** Bytes of the archive file. */
  size: Schema.Int,
  sha256: Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/)),
  url: Schema.String
})
export type LockedPackage = typeof LockedPackage.Type

/**
 * Sorted by name. `sources` says which repositories, at which revision (digest of their InRelease), were asked, and when what
 * they answered was made (ISO 8601, by their Release file).
 */
export const Lock = Schema.Struct({
  distribution: Schema.String,
  architecture: Schema.String,
  sources: Schema.Array(Schema.Struct({
    uri: Schema.String, suite: Schema.String, revision: Schema.String, date: Schema.optionalKey(Schema.String)
  })),
  packages: Schema.Array(LockedPackage)
})
export type Lock = typeof Lock.Type

export const Manifest = Schema.Struct({
  version: Schema.Literal(1),
  builder: Schema.String,
  distribution: Schema.String,
  image: ImageRequest,
  lock: Schema.optionalKey(Lock),
  customizations: SealedCustomizations
})
export type Manifest = typeof Manifest.Type

/** Pure: the same request and the same lock always give the same manifest. Targets and tests do not matter to what is built. */
export const manifestOf = (builder: string, spec: ImageSpec, lock: Lock | undefined): Manifest => {
  const { targets: _targets, test: _test, ...image } = spec.image
  return { version: 1, builder, distribution: spec.distribution, image, ...(lock && { lock }), customizations: spec.customizations }
}

/**
 * The text whose SHA-256 names a manifest or lock: JSON with sorted keys. A sealed secret is represented by its
 * fingerprint alone, since sealing the same secret twice gives different ciphertexts.
 */
export const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, item: unknown) => {
    if (item === null || typeof item !== "object" || Array.isArray(item)) return item
    const record = item as Record<string, unknown>
    if (typeof record["fingerprint"] === "string" && typeof record["ciphertext"] === "string") return { sealed: record["fingerprint"] }
    return Object.fromEntries(Object.keys(record).sort().map((key) => [key, record[key]]))
  })

/**
 * The text whose digest is a build's key. Repositories are signed anew every few hours though no package changes, so the
 * revision of an index is no part of it; packages are named by their own digests.
 */
export const buildKeyText = ({ lock, ...manifest }: Manifest): string =>
  canonical({ ...manifest, ...(lock && { lock: { ...lock, sources: lock.sources.map(({ uri, suite }) => ({ uri, suite })) } }) })
