/** `PackageIndex` over the private apt indexes: a file of 6 MB a distribution, whose names are searched as one text. */
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { Effect, Layer, Semaphore } from "effect"
import type { Architecture } from "../../domain/ids.ts"
import { BuildFailed, type Report } from "../../domain/ports/image-builder.ts"
import { PackageIndex, type PackageSummary } from "../../domain/ports/package-index.ts"
import { aptIndexes } from "./apt-index.ts"
import type { DebianConfig } from "./config.ts"
import { debianArchitectures } from "./distributions.ts"
import { diskFailure } from "./failures.ts"
import { releaseOf, resolve } from "./resolve.ts"

export interface Catalogue {
  readonly revision: string
  readonly bytes: Buffer
  /** All names in the file's order, each with a line feed on both sides. */
  readonly names: string
  /** Where each name begins, in `names` and in `bytes`. */
  readonly inNames: Uint32Array
  readonly inBytes: Uint32Array
}

const tab = 9
const lineFeed = 10

/** Lines are `name TAB version TAB section TAB summary`, sorted by name. */
export const catalogueOf = (revision: string, bytes: Buffer): Catalogue => {
  const inNames: Array<number> = []
  const inBytes: Array<number> = []
  const names: Array<string> = []
  let length = 1
  for (let at = 0; at < bytes.length;) {
    const name = bytes.toString("latin1", at, bytes.indexOf(tab, at))
    inNames.push(length)
    inBytes.push(at)
    names.push(name)
    length += name.length + 1
    const end = bytes.indexOf(lineFeed, at)
    at = end < 0 ? bytes.length : end + 1
  }
  return {
    revision,
    bytes,
    names: `\n${names.join("\n")}\n`,
    inNames: Uint32Array.from(inNames),
    inBytes: Uint32Array.from(inBytes)
  }
}

/** The last entry that begins at or before a place. */
const entryAt = ({ inNames }: Catalogue, place: number): number => {
  let [low, high] = [0, inNames.length - 1]
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (inNames[middle]! <= place) low = middle
    else high = middle - 1
  }
  return low
}

const summaryAt = ({ bytes, inBytes }: Catalogue, entry: number): PackageSummary => {
  const from = inBytes[entry]!
  const end = bytes.indexOf(lineFeed, from)
  const [name = "", version = "", section = "", summary = ""] = bytes
    .toString("utf8", from, end < 0 ? bytes.length : end)
    .split("\t")
  return { name, version, summary, section }
}

/** Equal, then those that begin so, then the rest; by name within each. */
export const searchIn = (catalogue: Catalogue, search: string, limit: number): ReadonlyArray<PackageSummary> => {
  const { names } = catalogue
  const wanted = search.trim().toLowerCase()
  if (wanted.includes("\n")) return []
  const ranks: [Array<number>, Array<number>, Array<number>] = [[], [], []]
  const enough = () => ranks[2].length >= limit && ranks[1].length >= limit
  // An empty search is every name's beginning.
  for (let place = names.indexOf(wanted, 1); place >= 0 && place < names.length - 1 && !enough();) {
    const entry = entryAt(catalogue, place)
    const begins = catalogue.inNames[entry] === place
    const rank = !begins ? 2 : names[place + wanted.length] === "\n" ? 0 : 1
    if (ranks[rank].length < limit) ranks[rank].push(entry)
    const next = names.indexOf("\n", place)
    place = next < 0 ? -1 : names.indexOf(wanted, next + 1)
  }
  return ranks
    .flat()
    .slice(0, limit)
    .map((entry) => summaryAt(catalogue, entry))
}

/** Nobody reads along here. */
const silent: Report = { progress: () => {}, line: () => {} }

/** Each is a process of apt with all of an index in memory; a repository that does not answer holds one up. */
const atOnce = 4
const patience = "45 seconds"

export const packageIndexDebian = (config: DebianConfig): Layer.Layer<PackageIndex> =>
  Layer.sync(PackageIndex, () => {
    const indexes = aptIndexes(config)
    const resolved = resolve(indexes)
    const turns = Semaphore.makeUnsafe(atOnce)
    const catalogues = new Map<string, Catalogue>()

    const catalogue = Effect.fnUntraced(function*(distribution: string, architecture: Architecture) {
      const release = yield* releaseOf(distribution)
      const name = debianArchitectures[architecture]
      const index = yield* indexes.get(release, name)
      const key = `${distribution}/${architecture}`
      const known = catalogues.get(key)
      if (known?.revision === index.revision) return known
      const bytes = yield* Effect.tryPromise({
        try: () => readFile(join(index.dir, "packages.tsv")),
        catch: diskFailure("reading the package index")
      })
      const fresh = catalogueOf(index.revision, bytes)
      catalogues.set(key, fresh)
      return fresh
    })

    return PackageIndex.of({
      search: Effect.fn("PackageIndex.search")(function*(distribution, architecture, search, limit) {
        return searchIn(yield* catalogue(distribution, architecture), search, limit)
      }),
      resolve: (spec) =>
        Effect.timeoutOrElse(turns.withPermit(resolved(spec, silent)), {
          duration: patience,
          orElse: () => Effect.fail(new BuildFailed({ class: "repository", message: "the repositories did not answer in time" }))
        })
    })
  })
