/** Entries that were heard and are not in the rows yet, as far as one has to know how old the first of them is. */
import type { LogEntry } from "../../domain/recorded.ts"
import type { Projection } from "../../projections/projection.ts"

export class Waiting {
  readonly #handfuls: Array<{ readonly last: number; readonly since: number }> = []

  /** What was heard at once, in order. */
  heard(entries: ReadonlyArray<LogEntry>, now: number): void {
    const [first, last] = [entries[0], entries.at(-1)]
    if (first === undefined || last === undefined) return
    this.#handfuls.push({ last: last.position.sequence, since: first._tag === "Recorded" ? first.at : now })
  }

  taken(upTo: number): void {
    while (this.#handfuls[0] !== undefined && this.#handfuls[0].last <= upTo) this.#handfuls.shift()
  }

  /** In milliseconds since 1970. */
  get since(): number | undefined {
    return this.#handfuls[0]?.since
  }
}

/** Since when a read model lacks what, in milliseconds since 1970; nothing if it lacks nothing. */
export type Since = (projection: Projection) => number | undefined

/** Errors come again and again while Postgres is away; whoever only waits for another projector to go has none. */
const goneAfterMs = 15_000

/** By stream; also while nothing can be taken in. */
export class Lags {
  readonly #streams = new Map<string, Since>()
  #failedAt: number | undefined

  works(stream: string, since: Since): void {
    this.#streams.set(stream, since)
    this.#failedAt = undefined
  }

  /** What lacked nothing does so from now on. */
  fails(now: number): void {
    if (this.#failedAt === undefined) for (const [stream, since] of this.#streams) this.#streams.set(stream, (projection) => since(projection) ?? now)
    this.#failedAt = now
  }

  * now(projections: Iterable<Projection>, now: number): Generator<readonly [projection: Projection, stream: string, since: number | undefined]> {
    const othersWork = this.#failedAt !== undefined && now - this.#failedAt > goneAfterMs
    for (const [stream, since] of this.#streams) {
      for (const projection of projections) yield [projection, stream, othersWork ? undefined : since(projection)]
    }
  }
}
