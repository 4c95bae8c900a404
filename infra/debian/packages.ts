/** The archives a lock names, by their SHA-256: fetched once, and checked when they come. */
import { createHash } from "node:crypto"
import { once } from "node:events"
import { createReadStream, createWriteStream, existsSync, type WriteStream } from "node:fs"
import { mkdir, rename, rm } from "node:fs/promises"
import { Agent as HttpAgent, get as httpGet, type IncomingMessage } from "node:http"
import type { LookupFunction } from "node:net"
import { Agent as HttpsAgent, get as httpsGet } from "node:https"
import { join } from "node:path"
import { pipeline } from "node:stream/promises"
import { fileURLToPath } from "node:url"
import type { Readable } from "node:stream"
import { Effect } from "effect"
import type { LockedPackage } from "../../domain/manifest.ts"
import { BuildFailed, type Report } from "../../domain/ports/image-builder.ts"
import type { Shelf } from "../cache/cache.ts"
import { sha256Of } from "../files/sha256-of.ts"
import { collectOften } from "../process/collect-often.ts"
import { machineAcquire } from "./apt-index.ts"
import { proxyOf } from "./apt-output.ts"
import { assertPublic, publicLookup } from "./public-hosts.ts"
import { diskFailure } from "./failures.ts"

/** Which addresses a tenant named, so that they must not lead to this machine or its link. */
export type Guarded = (url: string) => boolean

const atOnce = 6
const silenceMs = 30_000

/** A shelf's own archives, as a repository has them. */
export const poolOf = (shelf: Shelf) => join(shelf.dir, "repository", "pool")

interface Agents {
  readonly proxied: boolean
  readonly http: HttpAgent
  readonly https: HttpsAgent
}

const agents = Effect.map(machineAcquire, (dump): Agents => {
  const proxy = (scheme: "http" | "https") => {
    const uri = proxyOf(dump, scheme)
    return uri === undefined || uri === "DIRECT" ? {} : { proxyEnv: { HTTP_PROXY: uri, HTTPS_PROXY: uri } }
  }
  return {
    proxied: Object.keys({ ...proxy("http"), ...proxy("https") }).length > 0,
    http: new HttpAgent({ keepAlive: true, maxSockets: atOnce, ...proxy("http") }),
    https: new HttpsAgent({ keepAlive: true, maxSockets: atOnce, ...proxy("https") })
  }
})

const opened = async (url: string, agent: Agents, signal: AbortSignal, guarded: boolean, redirects = 5): Promise<Readable> => {
  if (guarded) assertPublic(url)
  // A proxy is the operator's, and may be anywhere.
  const options = { signal, timeout: silenceMs, ...(guarded && !agent.proxied && { lookup: publicLookup as LookupFunction }) }
  if (/^(file|copy):/.test(url))
    return createReadStream(fileURLToPath(url.replace(/^(file|copy):\/*/, "file:///")), { signal })
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = url.startsWith("https:")
      ? httpsGet(url, { ...options, agent: agent.https }, resolve)
      : httpGet(url, { ...options, agent: agent.http }, resolve)
    request
      .on("error", reject)
      .on("timeout", () => request.destroy(new Error(`nothing heard for ${silenceMs / 1000} s`)))
  })
  const {
    statusCode = 0,
    headers: { location }
  } = response
  if (statusCode >= 300 && statusCode < 400 && location !== undefined && redirects > 0) {
    response.resume()
    return opened(new URL(location, url).href, agent, signal, guarded, redirects - 1)
  }
  if (statusCode === 200) return response
  response.resume()
  throw new Error(`the mirror answered ${statusCode}`)
}

/** There afterwards, whole and right, or not at all. */
const download = async (
  item: LockedPackage,
  path: string,
  agent: Agents,
  signal: AbortSignal,
  guarded: boolean,
  onBytes: (bytes: number) => void
) => {
  const part = `${path}.part`
  const hash = createHash("sha256")
  let size = 0
  let file: WriteStream | undefined
  try {
    const archive = await opened(item.url, agent, signal, guarded)
    file = createWriteStream(part)
    await pipeline(
      archive,
      async function*(source: AsyncIterable<Buffer>) {
        for await (const chunk of source) {
          size += chunk.length
          if (size > item.size) throw new Error(`more than the ${item.size} bytes of the lock`)
          hash.update(chunk)
          onBytes(chunk.length)
          yield chunk
        }
      },
      file,
      { signal }
    )
    const got = hash.digest("hex")
    if (got !== item.sha256) throw new Error(`its SHA-256 is ${got}, not the lock's ${item.sha256}`)
    await rename(part, path)
  } catch (error) {
    onBytes(-size)
    // A file that is still being opened would be there after it was removed.
    if (file !== undefined && !file.closed) await once(file, "close").catch(() => {})
    await rm(part, { force: true })
    throw error
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
  guarded: Guarded = () => false
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
  const fetched = (item: LockedPackage) =>
    Effect.tryPromise({
      try: (signal) =>
        download(item, place(item), agent, signal, guarded(item.url), (bytes) => {
          bytesDone += bytes
          passed(bytes)
          tell()
        }),
      catch: (error) => {
        const { code, message } = error as NodeJS.ErrnoException
        return code === "ENOSPC" || code === "EDQUOT"
          ? diskFailure("fetching packages")(error)
          : new BuildFailed({
              class: "repository",
              message: `cannot fetch ${item.name} ${item.version} from ${item.url}: ${message}`
            })
      }
    }).pipe(
      Effect.retry({ times: 2, while: (failure) => failure.class === "repository" }),
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
