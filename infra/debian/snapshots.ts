/** Where a package may still be had that the mirror of its lock has dropped. Pure. */
import type { Lock } from "../../domain/manifest.ts"
import type { Archive, Release } from "./distributions.ts"

/** Addresses at which an archive may be had too, once it is gone from its own; none of them is a tenant's. */
export type Elsewhere = (url: string) => ReadonlyArray<string>

/** Folders of snapshot.debian.org. Ubuntu has none there. */
const folders: Partial<Record<Archive, string>> = { debian: "debian", security: "debian-security" }

/**
 * A snapshot is named by a time, and is the last one that was taken until then: taken every six hours, it has everything of a
 * Release file a day after that was made. Debian removes nothing from a pool before a day and a half.
 */
const dayMs = 86_400_000

/** Only what came from the release's own sources is looked for: `base` is an archive of Debian's. */
export const snapshotsOf = (base: string | undefined, release: Release, lock: Lock): Elsewhere => {
  if (base === undefined) return () => []
  const own = release.sources.flatMap(({ archive, suite }, at) => {
    const source = lock.sources[at]
    return source?.suite === suite && source.date !== undefined ? [{ archive, prefix: `${source.uri}/`, madeAt: Date.parse(source.date) }] : []
  })
  return (url) => {
    const from = own.filter(({ archive, prefix }) => folders[archive] !== undefined && url.startsWith(prefix))
    // All suites of a mirror were as the lock has them when the newest of them was made.
    const newest = (one: Archive) => Math.max(...from.flatMap(({ archive, madeAt }) => (archive === one ? [madeAt] : [])))
    return [...new Map(from.map((source) => [source.archive, source.prefix]))].map(([archive, prefix]) =>
      `${base}/${folders[archive]}/${stamp(newest(archive) + dayMs)}/${url.slice(prefix.length)}`)
  }
}

/** 20260131T235959Z */
const stamp = (ms: number) => new Date(ms).toISOString().replace(/[-:]|\.\d+/g, "")
