/** Blobs beside the segments of an export: each a file named by its digest, in lists that the export names. */
import { Schema } from "effect"
import { Digest } from "../../domain/ids.ts"
import { digestOf, getText, type Place, putText } from "./place.ts"

/** Also of stored files, whose lists say more of each. `missing`: how many were named, and not there to be put. */
export const BlobLists = Schema.Struct({ lists: Schema.Array(Digest), count: Schema.Int, bytes: Schema.Int, missing: Schema.Int })
export type BlobLists = typeof BlobLists.Type

const List = Schema.fromJsonString(Schema.Array(Digest))
const [encode, decode] = [Schema.encodeSync(List), Schema.decodeUnknownSync(List)]
const longestList = 5000
const mostRemembered = 100_000
const atOnce = 8

export const nameOf = (digest: Digest): string => `blobs/${digest.slice("sha256:".length)}`

/** Puts what it is told of, each once as long as it remembers it. */
export class BlobWriter {
  readonly #place: Place
  readonly #get: (digest: Digest) => Promise<Uint8Array | undefined>
  readonly #known = new Set<Digest>()
  readonly #lists: Array<Digest> = []
  #list: Array<Digest> = []
  #count = 0
  #bytes = 0
  #missing = 0

  constructor(place: Place, get: (digest: Digest) => Promise<Uint8Array | undefined>) {
    this.#place = place
    this.#get = get
  }

  async take(digests: ReadonlyArray<Digest>): Promise<void> {
    const fresh = [...new Set(digests)].filter((digest) => !this.#known.has(digest))
    if (this.#known.size > mostRemembered) this.#known.clear()
    for (let at = 0; at < fresh.length; at += atOnce) await Promise.all(fresh.slice(at, at + atOnce).map((digest) => this.#put(digest)))
    if (this.#list.length >= longestList) await this.#flush()
  }

  async end(): Promise<BlobLists> {
    await this.#flush()
    return { lists: this.#lists, count: this.#count, bytes: this.#bytes, missing: this.#missing }
  }

  async #put(digest: Digest): Promise<void> {
    this.#known.add(digest)
    const bytes = await this.#get(digest)
    if (bytes === undefined) {
      this.#missing += 1
      return
    }
    await this.#place.put(nameOf(digest), bytes)
    this.#list.push(digest)
    this.#count += 1
    this.#bytes += bytes.length
  }

  async #flush(): Promise<void> {
    if (this.#list.length === 0) return
    this.#lists.push((await putText(this.#place, "blob-lists", encode(this.#list.toSorted()), "json.zst")).digest)
    this.#list = []
  }
}

/** `take` is called for each, and may ask for its bytes. Those fail where they are missing, or are not what their name says. */
export const readBlobs = async (place: Place, { lists }: BlobLists, take: (digest: Digest, bytes: () => Promise<Uint8Array>) => Promise<void>): Promise<void> => {
  for (const list of lists) {
    const digests = decode(await getText(place, "blob-lists", list, "json.zst"))
    for (let at = 0; at < digests.length; at += atOnce) {
      await Promise.all(digests.slice(at, at + atOnce).map((digest) => take(digest, () => getBlob(place, digest))))
    }
  }
}

/** What is put once under its digest, as blobs are. */
export const getBlob = async (place: Place, digest: Digest): Promise<Uint8Array> => {
  const bytes = await place.get(nameOf(digest))
  if (bytes === undefined) throw new Error(`${nameOf(digest)} is not in ${place.words}`)
  if (digestOf(bytes) !== digest) throw new Error(`${nameOf(digest)} in ${place.words} is damaged`)
  return bytes
}
