/** Puts a stream into an archive, and reads it back. */
import { createHash, type Hash } from "node:crypto"
import { Digest } from "../../domain/ids.ts"
import { IndexBuilder } from "./index-builder.ts"
import type { Place } from "./place.ts"
import { aggregateIn, getManifest, getSegment, keyOf, type Line, lineOf, linesIn, type Manifest, putManifest, putSegment, putShard } from "./segments.ts"

const segmentBytes = 2 * 2 ** 20

export interface Archived {
  readonly manifest: Digest
  readonly bytes: number
  readonly entries: number
}

/** Done again it makes the same files. `last`: the sequence of the last line that has to come. */
export const writeArchive = async (
  place: Place, header: Pick<Manifest, "stream" | "prefix" | "period" | "last">, handfuls: AsyncIterable<ReadonlyArray<Line>>
): Promise<Archived> => {
  const segments: Array<Manifest["segments"][number]> = []
  const index = new IndexBuilder()
  const whole = createHash("sha256")
  let lines: Array<string> = []
  let [bytes, sequence] = [0, 0]
  const flush = async () => {
    if (lines.length === 0) return
    const count = lines.length
    const file = await putSegment(place, lines)
    segments.push({ ...file, first: sequence - count + 1, last: sequence })
    lines = []
    bytes = 0
  }
  for await (const handful of handfuls) {
    for (const line of handful) {
      if (line.sequence !== sequence + 1) throw new Error(`${header.stream} has no entry ${sequence + 1}`)
      sequence = line.sequence
      const text = lineOf(line)
      whole.update(text)
      lines.push(text)
      bytes += text.length
      index.add(keyOf(aggregateIn(line.subject)), segments.length)
      if (bytes >= segmentBytes) await flush()
    }
  }
  await flush()
  if (sequence !== header.last) throw new Error(`${header.stream} ended at ${sequence}, not at ${header.last}`)
  const shards: Array<Manifest["index"][number]> = []
  for (const { from, shard } of index.shards()) shards.push({ ...await putShard(place, shard), from })
  const file = await putManifest(place, { version: 1, ...header, lines: digestIn(whole), segments, index: shards })
  const total = [...segments, ...shards, file].reduce((sum, each) => sum + each.bytes, 0)
  return { manifest: file.digest, bytes: total, entries: sequence }
}

const digestIn = (hash: Hash): Digest => Digest.make(`sha256:${hash.digest("hex")}`)

/** Reads all of it; `take` sees every line in order. Fails at the first that is missing, damaged or out of order. */
export const readArchive = async (place: Place, digest: Digest, take: (line: Line) => void | Promise<void> = () => {}): Promise<Manifest> => {
  const manifest = await getManifest(place, digest)
  const whole = createHash("sha256")
  let sequence = 0
  for (const segment of manifest.segments) {
    for (const text of linesIn(await getSegment(place, segment.digest))) {
      const line = JSON.parse(text) as Line
      whole.update(text).update("\n")
      if (line.sequence !== ++sequence) throw new Error(`${place.words} has entry ${line.sequence} of ${manifest.stream} in the place of ${sequence}`)
      await take(line)
    }
  }
  if (sequence !== manifest.last) throw new Error(`${place.words} has ${sequence} of ${manifest.last} entries of ${manifest.stream}`)
  if (digestIn(whole) !== manifest.lines) throw new Error(`${place.words} has other entries of ${manifest.stream} than were put there`)
  return manifest
}
