/** The image in an OCI archive: a tar of an OCI layout, whose blobs are sent from where they lie in it. */
import { type FileHandle, open } from "node:fs/promises"
import { Effect } from "effect"
import { BuildFailed } from "../../../domain/ports/image-builder.ts"
import { type Descriptor, indexType, manifestType, type RegistryManifest } from "../../../domain/registry-manifest.ts"
import { digestOf, jsonOf } from "./registry.ts"
import type { Source } from "./upload.ts"

export interface ArchivedImage {
  readonly mediaType: string
  readonly bytes: Buffer
  readonly blobs: ReadonlyArray<Source>
}

class Unfit extends Error {}

const unfit = (error: unknown) =>
  new BuildFailed({
    class: error instanceof Unfit ? "user" : "platform",
    message: `the image cannot be pushed as a container: ${error instanceof Error ? error.message : String(error)}`
  })

const longestManifest = 4 * 2 ** 20
const dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"

export const archivedImage = (path: string): Effect.Effect<ArchivedImage, BuildFailed> =>
  Effect.tryPromise({
    try: async () => {
      const file = await open(path)
      try {
        return await imageIn(file, path)
      } finally {
        await file.close()
      }
    },
    catch: unfit
  })

const imageIn = async (file: FileHandle, path: string): Promise<ArchivedImage> => {
  const members = await membersOf(file)
  const textOf = async (name: string) => {
    const member = members.get(name)
    if (member === undefined) throw new Unfit(`its archive has no ${name}`)
    if (member.length > longestManifest) throw new Unfit(`${name} of its archive is too long`)
    const bytes = Buffer.alloc(member.length)
    await file.read(bytes, 0, bytes.length, member.start)
    return bytes
  }
  const blobName = ({ digest }: Descriptor) => `blobs/${digest.replace(":", "/")}`
  const [image, ...more] = jsonOf<{ readonly manifests: ReadonlyArray<Descriptor> }>(await textOf("index.json"))?.manifests ?? []
  if (image === undefined || more.length > 0 || image.mediaType === indexType) throw new Unfit("its archive holds not one image")
  if (image.mediaType !== manifestType && image.mediaType !== dockerManifest) throw new Unfit(`its archive holds ${image.mediaType}`)
  const bytes = await textOf(blobName(image))
  if (digestOf(bytes) !== image.digest) throw new Unfit("the manifest in its archive is damaged")
  const manifest = jsonOf<RegistryManifest>(bytes)
  if (manifest === undefined) throw new Unfit("the manifest in its archive is damaged")
  const blobs = [...manifest.layers, manifest.config].map((blob): Source => {
    const member = members.get(blobName(blob))
    if (member === undefined || member.length !== blob.size) throw new Unfit(`its archive lacks ${blob.digest}`)
    return { digest: blob.digest, path, ...member }
  })
  return { mediaType: image.mediaType, bytes, blobs: [...new Map(blobs.map((blob) => [blob.digest, blob])).values()] }
}

interface Member {
  readonly start: number
  readonly length: number
}

const block = 512

const membersOf = async (file: FileHandle): Promise<ReadonlyMap<string, Member>> => {
  const members = new Map<string, Member>()
  const header = Buffer.alloc(block)
  for (let at = 0;;) {
    const { bytesRead } = await file.read(header, 0, block, at)
    // Two empty blocks end it.
    if (bytesRead < block || header[0] === 0) return members
    const name = [textAt(header, 345, 155), textAt(header, 0, 100)].filter((part) => part !== "").join("/").replace(/^\.\//, "")
    const length = sizeIn(header)
    const type = header[156]
    if (type === 0 || type === 0x30) members.set(name, { start: at + block, length })
    at += block + Math.ceil(length / block) * block
  }
}

const textAt = (header: Buffer, start: number, length: number) => header.toString("utf8", start, start + length).replace(/\0.*$/s, "")

/** Octal digits, or, of what is longer than 8 GiB, a number of base 256. */
const sizeIn = (header: Buffer): number => {
  const size = header[124]! & 0x80 ? Number(header.readBigUInt64BE(128)) : Number.parseInt(textAt(header, 124, 12).trim() || "0", 8)
  if (!Number.isSafeInteger(size) || size < 0) throw new Unfit("its archive is no tar")
  return size
}
