/** Reads what an archive has of a stream: all in order, or one aggregate's. Some of what was read last stays in memory. */
import type { Digest } from "../../domain/ids.ts"
import type { Place } from "./place.ts"
import { getManifest, getSegment, getShard, keyOf, type Line, linesIn, type Manifest, type Shard } from "./segments.ts"

const kept = { manifests: 64, shards: 16, segments: 4 }

export class ArchiveReader {
  readonly #manifests: Kept<Manifest>
  readonly #shards: Kept<Shard>
  readonly #segments: Kept<string>

  constructor(place: Place) {
    this.#manifests = new Kept(kept.manifests, (digest) => getManifest(place, digest))
    this.#shards = new Kept(kept.shards, (digest) => getShard(place, digest))
    this.#segments = new Kept(kept.segments, (digest) => getSegment(place, digest))
  }

  /** Lines after one sequence and up to another, segment by segment; the next is fetched while one is worked on. */
  async *lines(manifest: Digest, after: number, upTo: number, isWanted: (subject: string) => boolean = () => true): AsyncGenerator<ReadonlyArray<Line>, void> {
    const wanted = (await this.#manifests.get(manifest)).segments.filter(({ first, last }) => last > after && first <= upTo)
    for (const [at, { digest }] of wanted.entries()) {
      const text = await this.#segments.get(digest)
      const next = wanted[at + 1]
      if (next !== undefined) this.#segments.get(next.digest).catch(() => {})
      const lines = Array.from(linesIn(text), (line) => JSON.parse(line) as Line)
      yield lines.filter(({ sequence, subject }) => sequence > after && sequence <= upTo && isWanted(subject))
    }
  }

  /** One aggregate's, by `<tenant>.<kind>.<id>`. */
  async find(digest: Digest, aggregate: string): Promise<ReadonlyArray<Line>> {
    const { index, prefix, segments } = await this.#manifests.get(digest)
    const key = keyOf(aggregate)
    const shard = index.findLast(({ from }) => from <= key)
    if (shard === undefined) return []
    const found: Array<Line> = []
    const start = `"subject":"${prefix}.${aggregate}.`
    for (const segment of (await this.#shards.get(shard.digest))[key] ?? []) {
      for (const line of linesIn(await this.#segments.get(segments[segment]!.digest))) {
        if (line.includes(start)) found.push(JSON.parse(line) as Line)
      }
    }
    return found
  }
}

/** What was asked for last, or is being fetched. */
class Kept<A> {
  readonly #kept = new Map<Digest, Promise<A>>()
  readonly #most: number
  readonly #fetch: (digest: Digest) => Promise<A>

  constructor(most: number, fetch: (digest: Digest) => Promise<A>) {
    this.#most = most
    this.#fetch = fetch
  }

  get(digest: Digest): Promise<A> {
    const known = this.#kept.get(digest) ?? this.#fetch(digest)
    this.#kept.delete(digest)
    this.#kept.set(digest, known)
    known.catch(() => {
      if (this.#kept.get(digest) === known) this.#kept.delete(digest)
    })
    if (this.#kept.size > this.#most) this.#kept.delete(this.#kept.keys().next().value!)
    return known
  }
}
