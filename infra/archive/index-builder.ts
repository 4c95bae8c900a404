/** Which keys are in which segments, for millions of them: eight bytes each until they are written. */
import type { Shard } from "./segments.ts"

const shardKeys = 10_000
/** A key of 32 bits and a number of 20 fit into the whole numbers that a float holds. */
const mostSegments = 2 ** 20

export class IndexBuilder {
  #pairs = new Float64Array(1024)
  #count = 0
  #segment = -1
  readonly #seen = new Set<number>()

  /** Segments in order. */
  add(key: number, segment: number): void {
    if (segment !== this.#segment) {
      if (segment >= mostSegments) throw new Error("a period of more segments than an index can name")
      this.#seen.clear()
      this.#segment = segment
    }
    if (this.#seen.has(key)) return
    this.#seen.add(key)
    if (this.#count === this.#pairs.length) {
      const larger = new Float64Array(this.#count * 2)
      larger.set(this.#pairs)
      this.#pairs = larger
    }
    this.#pairs[this.#count++] = key * mostSegments + segment
  }

  *shards(): Generator<{ readonly from: number; readonly shard: Shard }, void> {
    let shard: Record<string, Array<number>> = {}
    let [from, keys] = [0, 0]
    for (const pair of this.#pairs.subarray(0, this.#count).toSorted()) {
      const [key, segment] = [Math.floor(pair / mostSegments), pair % mostSegments]
      const known = shard[key]
      if (known !== undefined) {
        known.push(segment)
        continue
      }
      if (keys >= shardKeys) {
        yield { from, shard }
        shard = {}
        keys = 0
      }
      if (keys++ === 0) from = key
      shard[key] = [segment]
    }
    if (keys > 0) yield { from, shard }
  }
}
