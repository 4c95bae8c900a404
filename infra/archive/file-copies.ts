/** Stored files of tenants in an export: their bytes beside the blobs, and lists of whose they are. */
import { Schema } from "effect"
import type { Digest } from "../../domain/ids.ts"
import { StoredFileOf } from "../../domain/ports/stored-files.ts"
import { type BlobLists, getBlob, nameOf } from "./blob-files.ts"
import { digestOf, getText, type Place, putText } from "./place.ts"

const List = Schema.fromJsonString(Schema.Array(StoredFileOf))
const [encode, decode] = [Schema.encodeSync(List), Schema.decodeUnknownSync(List)]
const longestList = 5000

/** One after the other, since they may be large. `get`: all bytes of one, unless it is gone meanwhile. What is not what its name says is missing, too. */
export const writeFiles = async (
  place: Place, files: ReadonlyArray<StoredFileOf>, get: (file: StoredFileOf) => Promise<Uint8Array | undefined>
): Promise<BlobLists> => {
  const put = new Set<Digest>()
  const there: Array<StoredFileOf> = []
  let bytes = 0
  for (const file of files) {
    if (!put.has(file.digest)) {
      const content = await get(file)
      if (content === undefined || digestOf(content) !== file.digest) continue
      await place.put(nameOf(file.digest), content)
      put.add(file.digest)
      bytes += content.length
    }
    there.push(file)
  }
  const lists: Array<Digest> = []
  for (let at = 0; at < there.length; at += longestList) {
    lists.push((await putText(place, "file-lists", encode(there.slice(at, at + longestList)), "json.zst")).digest)
  }
  return { lists, count: there.length, bytes, missing: files.length - there.length }
}

/** `take` is called for each, and may ask for its bytes. Those fail where they are missing, or are not what their name says. */
export const readFiles = async (place: Place, { lists }: BlobLists, take: (file: StoredFileOf, bytes: () => Promise<Uint8Array>) => Promise<void>): Promise<void> => {
  for (const list of lists) {
    for (const file of decode(await getText(place, "file-lists", list, "json.zst"))) await take(file, () => getBlob(place, file.digest))
  }
}
