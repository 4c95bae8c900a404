/** The archives a lock names, by their SHA-256: fetched once, and checked when they come. */
import { existsSync } from "node:fs"
import { mkdir, rm } from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import type { LockedPackage } from "../../domain/manifest.ts"
import { BuildFailed, type Report } from "../../domain/ports/image-builder.ts"
import type { Shelf } from "../cache/cache.ts"
import { sha256Of } from "../files/sha256-of.ts"
import { collectOften } from "../process/collect-often.ts"
import { agents, atOnce, download, isGone } from "./download.ts"
import { diskFailure } from "./failures.ts"
import type { Elsewhere } from "./snapshots.ts"

/** How the addresses of archives are to be taken. */
export interface Origins {
  /** Which a tenant named, so that they must not lead to this machine or its link. */
  readonly guarded: (url: string) => boolean
  readonly elsewhere: Elsewhere
}

const plainOrigins: Origins = { guarded: () => false, elsewhere: () => [] }

/** A shelf's own archives, as a repository has them. */
export const poolOf = (shelf: Shelf) => join(shelf.dir, "repository", "pool")

/** Why an archive came from none of its addresses. */
class NotFetched extends Error {
  readonly last: NodeJS.ErrnoException
  constructor(tried: ReadonlyArray<readonly [url: string, error: Error]>) {
    super(tried.map(([url, { message }]) => `from ${url}: ${message}`).join("; nor "))
    this.last = tried.at(-1)![1]
  }
}

/**
 * Puts archives into the shelf's pool, from the cache or from where the lock says. `share` is how much of the whole job's
 * percents this is. The size is looked at each time, the digest when an archive comes into the cache.
 */
export const fetchPackages = Effect.fn("debian.fetch")(function*(
  packages: ReadonlyArray<LockedPackage>,
  shelf: Shelf,
  report: Report,
  share: number,
  { elsewhere, guarded }: Origins = plainOrigins
) {
  const pool = poolOf(shelf)
  const place = (item: LockedPackage) => placeIn(shelf, item)
  yield* Effect.tryPromise({ try: () => mkdir(pool, { recursive: true }), catch: diskFailure("fetching packages") })
  const wanted = packages.filter((item) => !existsSync(place(item)))
  const found = yield* Effect.forEach(
    wanted,
    ({ sha256, size }) => shelf.take("packages", sha256, { as: join("repository", "pool", `${sha256}.deb`), size }),
    { concurrency: 16 }
  ).pipe(Effect.mapError(diskFailure("fetching packages")))
  const missing = wanted.filter((_, at) => found[at] === undefined)
  if (missing.length === 0) return
  const bytesTotal = missing.reduce((sum, { size }) => sum + size, 0)
  let bytesDone = 0
  const tell = () =>
    report.progress({ stage: "download", percent: (share * bytesDone) / bytesTotal, bytesDone, bytesTotal })
  report.line(`fetching ${missing.length} packages, ${(bytesTotal / 1e6).toFixed(1)} MB`)
  tell()
  const agent = yield* agents
  const passed = collectOften()
  const onBytes = (bytes: number) => {
    bytesDone += bytes
    passed(bytes)
    tell()
  }
  /** From where the lock says; elsewhere only what is gone from there. */
  const bring = async (item: LockedPackage, signal: AbortSignal) => {
    const tried: Array<readonly [url: string, error: Error]> = []
    for (const url of [item.url, ...elsewhere(item.url)]) {
      try {
        await download(item, url, place(item), agent, signal, url === item.url && guarded(url), onBytes)
        if (tried.length > 0) report.line(`${item.name} ${item.version} is gone from the mirror and came from ${url}`)
        return
      } catch (error) {
        tried.push([url, error as Error])
        if (!isGone(error)) break
      }
    }
    throw new NotFetched(tried)
  }
  const fetched = (item: LockedPackage) =>
    Effect.tryPromise({ try: (signal) => bring(item, signal), catch: (error) => error as NotFetched }).pipe(
      Effect.retry({ times: 2, while: ({ last }) => !isGone(last) && !isFull(last) }),
      Effect.mapError(({ last, message }) =>
        isFull(last)
          ? diskFailure("fetching packages")(last)
          : new BuildFailed({ class: "repository", message: `cannot fetch ${item.name} ${item.version} ${message}` })),
      Effect.andThen(Effect.mapError(shelf.put("packages", item.sha256, place(item)), diskFailure("fetching packages")))
    )
  yield* Effect.forEach(missing, fetched, { concurrency: atOnce, discard: true }).pipe(
    Effect.ensuring(
      Effect.sync(() => {
        agent.http.destroy()
        agent.https.destroy()
      })
    )
  )
})

/** The same, and each is read whole: what rotted in the cache is thrown out and fetched anew. */
export const checkedPackages = Effect.fn("debian.check")(function*(...wanted: Parameters<typeof fetchPackages>) {
  const [packages, shelf, report, ...rest] = wanted
  yield* fetchPackages(...wanted)
  const damaged = yield* Effect.filter(packages, (item) => Effect.map(isSound(item, shelf), (sound) => !sound), { concurrency: 4 })
  if (damaged.length === 0) return
  for (const item of damaged) {
    report.line(`warning: ${item.name} ${item.version} was damaged in the cache and is fetched again`)
    yield* thrownOut(item, shelf)
  }
  yield* fetchPackages(damaged, shelf, report, ...rest)
})

const isFull = ({ code }: NodeJS.ErrnoException) => code === "ENOSPC" || code === "EDQUOT"

const placeIn = (shelf: Shelf, { sha256 }: LockedPackage) => join(poolOf(shelf), `${sha256}.deb`)

const isSound = (item: LockedPackage, shelf: Shelf): Effect.Effect<boolean, BuildFailed> =>
  Effect.tryPromise({
    try: async () => (await sha256Of(placeIn(shelf, item))) === item.sha256,
    catch: diskFailure(`reading ${item.name}`)
  })

const thrownOut = (item: LockedPackage, shelf: Shelf): Effect.Effect<void, BuildFailed> =>
  Effect.andThen(
    shelf.drop("packages", item.sha256),
    Effect.tryPromise({ try: () => rm(placeIn(shelf, item), { force: true }), catch: diskFailure(`reading ${item.name}`) })
  )
