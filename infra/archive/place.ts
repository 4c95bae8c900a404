/** Where an archive lies: a folder, or a bucket. Files there are written once, whole, and never changed. */
import { createHash } from "node:crypto"
import { zstdCompress, zstdDecompress } from "node:zlib"
import { promisify } from "node:util"
import { Digest } from "../../domain/ids.ts"
import { folderPlace } from "./folder-place.ts"
import { s3Place } from "./s3-place.ts"

export interface Place {
  /** For people. */
  readonly words: string
  /** On disk, or acknowledged by the bucket, when it answers. */
  put(name: string, bytes: Uint8Array): Promise<void>
  /** `undefined` when there is no such file. */
  get(name: string): Promise<Uint8Array | undefined>
}

/** A path, or `s3://bucket/prefix` with `region` and `endpoint` as its query where they are not those of the environment. */
export const placeAt = (location: string): Place => location.startsWith("s3://") ? s3Place(new URL(location)) : folderPlace(location)

const [pack, unpack] = [promisify(zstdCompress), promisify(zstdDecompress)]
/** What is unpacked is never larger; a damaged or foreign file must not fill the memory. */
const longest = 256 * 2 ** 20

export const digestOf = (bytes: Uint8Array | string): Digest => Digest.make(`sha256:${createHash("sha256").update(bytes).digest("hex")}`)

const nameOf = (kind: string, digest: Digest, suffix: string): string => `${kind}/${digest.slice(7, 9)}/${digest.slice(7)}.${suffix}`

/** Text under the digest of its file, so that the same text is there once. */
export const putText = async (place: Place, kind: string, text: string, suffix: string): Promise<{ readonly digest: Digest; readonly bytes: number }> => {
  const bytes = await pack(Buffer.from(text))
  const digest = digestOf(bytes)
  await place.put(nameOf(kind, digest, suffix), bytes)
  return { digest, bytes: bytes.length }
}

/** Fails where it is missing, or is not what its name says. */
export const getText = async (place: Place, kind: string, digest: Digest, suffix: string): Promise<string> => {
  const name = nameOf(kind, digest, suffix)
  const bytes = await place.get(name)
  if (bytes === undefined) throw new Error(`${name} is not in ${place.words}`)
  if (digestOf(bytes) !== digest) throw new Error(`${name} in ${place.words} is damaged`)
  return (await unpack(bytes, { maxOutputLength: longest })).toString()
}
