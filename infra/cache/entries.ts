/** What lies in a cache, and what goes when there is too much. */
import { readdir, rm, stat } from "node:fs/promises"
import { join } from "node:path"

/** Folders of the cache that hold entries, a file each; `held/images` are finished images, by their digests. */
export const kinds = ["packages", "repositories", "base", "conversions", "held/images"] as const
export type Kind = (typeof kinds)[number]

export interface Entry {
  readonly kind: Kind
  readonly name: string
  readonly path: string
  readonly size: number
  readonly usedAt: number
  /** Not to be removed. It has another name, in a running build's folder or in the store: that would free nothing. */
  readonly inUse: boolean
}

/** A finished image that nobody has delivered yet has no second name. */
const sparedMs = 10 * 60_000

/** Locks and what is being written are no entries. */
const isEntry = (name: string) => !/^\.|\.(lock|new|part)$|\.new\b/.test(name)

export const entriesOf = async (cache: string, of: ReadonlyArray<Kind> = kinds): Promise<ReadonlyArray<Entry>> => {
  const found: Array<Entry> = []
  for (const kind of of) {
    const names = (await readdir(join(cache, kind)).catch(() => [])).filter(isEntry)
    await Promise.all(names.map(async (name) => {
      const path = join(cache, kind, name)
      const stats = await stat(path).catch(() => undefined)
      if (!stats?.isFile()) return
      const isFresh = kind === "held/images" && Date.now() - stats.mtimeMs < sparedMs
      found.push({ kind, name, path, size: stats.size, usedAt: stats.mtimeMs, inUse: stats.nlink > 1 || isFresh })
    }))
  }
  return found
}

/** Removes what was used longest ago until the rest is no more than `bytes`; answers with what went, or would go. */
export const evict = async (entries: ReadonlyArray<Entry>, bytes: number, really = true): Promise<ReadonlyArray<Entry>> => {
  let sum = entries.reduce((total, { size }) => total + size, 0)
  const gone: Array<Entry> = []
  for (const entry of entries.toSorted((one, other) => one.usedAt - other.usedAt)) {
    if (sum <= bytes) break
    // Looked at once more: somebody may have begun to use it.
    const now = await stat(entry.path).catch(() => undefined)
    if (entry.inUse || now === undefined || now.nlink > 1 || now.mtimeMs !== entry.usedAt) continue
    if (really) await rm(entry.path, { force: true })
    sum -= entry.size
    gone.push(entry)
  }
  return gone
}
