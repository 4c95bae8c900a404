/** `WorkerCache` on a folder that any number of workers may use at the same time. */
import { statSync } from "node:fs"
import { Effect, Layer } from "effect"
import { Millis } from "../../domain/ids.ts"
import { WorkerCache, WorkerCacheUnavailable, type CacheUse } from "../../domain/ports/worker-cache.ts"
import { entriesOf, evict, kinds, type Entry, type Kind } from "./entries.ts"
import { removeOrphans } from "./owners.ts"

const useOf = (entries: ReadonlyArray<Entry>): ReadonlyArray<CacheUse> =>
  kinds.flatMap((kind) => {
    const some = entries.filter((entry) => entry.kind === kind)
    if (some.length === 0) return []
    const sizes = (list: ReadonlyArray<Entry>) => list.reduce((sum, { size }) => sum + size, 0)
    const times = some.map(({ usedAt }) => usedAt)
    return [{
      kind,
      entries: some.length,
      bytes: sizes(some),
      inUse: sizes(some.filter(({ inUse }) => inUse)),
      oldestUse: Millis.make(Math.round(Math.min(...times))),
      lastUse: Millis.make(Math.round(Math.max(...times)))
    }]
  })

export const WorkerCacheFiles = (dir: string): Layer.Layer<WorkerCache> => {
  const attempt = <A>(run: () => Promise<A>) =>
    Effect.tryPromise({
      try: async () => {
        if (statSync(dir, { throwIfNoEntry: false })?.isDirectory() !== true) throw new Error("there is no such folder")
        return run()
      },
      catch: (error) => new WorkerCacheUnavailable({ message: `the cache ${dir} cannot be used: ${(error as Error).message}` })
    })
  return Layer.succeed(WorkerCache, WorkerCache.of({
    kinds,
    use: attempt(async () => useOf(await entriesOf(dir))),
    prune: (keep, some, really) =>
      attempt(async () => {
        const entries = await entriesOf(dir, kinds.filter((kind) => some.includes(kind)) as ReadonlyArray<Kind>)
        if (really) await removeOrphans(dir)
        return useOf(await evict(entries, keep, really))
      })
  }))
}
