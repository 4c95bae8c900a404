/** The archives a lock names, by their SHA-256: fetched once, checked always. */
import { createHash, randomUUID } from "node:crypto"
import { createReadStream, createWriteStream } from "node:fs"
import { mkdir, open, rename, rm, stat, utimes } from "node:fs/promises"
import { Agent as HttpAgent, get as httpGet, type IncomingMessage } from "node:http"
import { Agent as HttpsAgent, get as httpsGet } from "node:https"
import { join } from "node:path"
import { pipeline } from "node:stream/promises"
import { fileURLToPath } from "node:url"
import type { Readable } from "node:stream"
import { Effect } from "effect"
import type { LockedPackage } from "../../domain/manifest.ts"
import { BuildFailed, type Report } from "../../domain/ports/image-builder.ts"
import { machineAcquire } from "./apt-index.ts"
import { proxyOf } from "./apt-output.ts"
import { diskFailure } from "./failures.ts"

const atOnce = 6
const silenceMs = 30_000

export const packagePath = (cacheDir: string, sha256: string) => join(cacheDir, "packages", sha256)

/** By one small buffer: a stream's would pile up until they are collected. */
export const sha256Of = async (path: string): Promise<string> => {
  const hash = createHash("sha256")
  const buffer = Buffer.allocUnsafe(1 << 18)
  const file = await open(path)
  try {
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length)
      if (bytesRead === 0) return hash.digest("hex")
      hash.update(buffer.subarray(0, bytesRead))
    }
  } finally {
    await file.close()
  }
}

interface Agents {
  readonly http: HttpAgent
  readonly https: HttpsAgent
}

const agents = Effect.map(machineAcquire, (dump): Agents => {
  const proxy = (scheme: "http" | "https") => {
    const uri = proxyOf(dump, scheme)
    return uri === undefined || uri === "DIRECT" ? {} : { proxyEnv: { HTTP_PROXY: uri, HTTPS_PROXY: uri } }
  }
  return {
    http: new HttpAgent({ keepAlive: true, maxSockets: atOnce, ...proxy("http") }),
    https: new HttpsAgent({ keepAlive: true, maxSockets: atOnce, ...proxy("https") })
  }
})

const opened = async (url: string, agent: Agents, signal: AbortSignal, redirects = 5): Promise<Readable> => {
  if (/^(file|copy):/.test(url))
    return createReadStream(fileURLToPath(url.replace(/^(file|copy):\/*/, "file:///")), { signal })
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = url.startsWith("https:")
      ? httpsGet(url, { agent: agent.https, signal, timeout: silenceMs }, resolve)
      : httpGet(url, { agent: agent.http, signal, timeout: silenceMs }, resolve)
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
    return opened(new URL(location, url).href, agent, signal, redirects - 1)
  }
  if (statusCode === 200) return response
  response.resume()
  throw new Error(`the mirror answered ${statusCode}`)
}

/** Present in the cache afterwards, whole and right, or not at all. */
const download = async (
  item: LockedPackage,
  path: string,
  agent: Agents,
  signal: AbortSignal,
  onBytes: (bytes: number) => void
) => {
  const part = `${path}.${randomUUID()}.part`
  const hash = createHash("sha256")
  let size = 0
  try {
    await pipeline(
      await opened(item.url, agent, signal),
      async function*(source: AsyncIterable<Buffer>) {
        for await (const chunk of source) {
          size += chunk.length
          if (size > item.size) throw new Error(`more than the ${item.size} bytes of the lock`)
          hash.update(chunk)
          onBytes(chunk.length)
          yield chunk
        }
      },
      createWriteStream(part),
      { signal }
    )
    const got = hash.digest("hex")
    if (got !== item.sha256) throw new Error(`its SHA-256 is ${got}, not the lock's ${item.sha256}`)
    await rename(part, path)
  } catch (error) {
    onBytes(-size)
    await rm(part, { force: true })
    throw error
  }
}

const isHere = (item: LockedPackage, path: string) =>
  stat(path).then(
    ({ size }) => size === item.size,
    () => false
  )

/** Fetches what is missing. `share` is how much of the whole job's percents this is. */
export const fetchPackages = Effect.fn("debian.fetch")(function*(
  packages: ReadonlyArray<LockedPackage>,
  cacheDir: string,
  report: Report,
  share: number
) {
  yield* Effect.tryPromise({
    try: () => mkdir(join(cacheDir, "packages"), { recursive: true }),
    catch: diskFailure("fetching packages")
  })
  const present = yield* Effect.promise(() =>
    Promise.all(packages.map((item) => isHere(item, packagePath(cacheDir, item.sha256))))
  )
  const missing = packages.filter((_, at) => !present[at])
  if (missing.length === 0) return
  const bytesTotal = missing.reduce((sum, { size }) => sum + size, 0)
  let bytesDone = 0
  const tell = () =>
    report.progress({ stage: "download", percent: (share * bytesDone) / bytesTotal, bytesDone, bytesTotal })
  report.line(`fetching ${missing.length} packages, ${(bytesTotal / 1e6).toFixed(1)} MB`)
  tell()
  const agent = yield* agents
  yield* Effect.forEach(
    missing,
    (item) =>
      Effect.tryPromise({
        try: (signal) =>
          download(item, packagePath(cacheDir, item.sha256), agent, signal, (bytes) => {
            bytesDone += bytes
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
      }).pipe(Effect.retry({ times: 2, while: (failure) => failure.class === "repository" })),
    { concurrency: atOnce, discard: true }
  ).pipe(
    Effect.ensuring(
      Effect.sync(() => {
        agent.http.destroy()
        agent.https.destroy()
      })
    )
  )
})

/** A file that rotted in the cache is thrown out, to be fetched again by the next attempt. */
export const checkPackage = (item: LockedPackage, cacheDir: string): Effect.Effect<void, BuildFailed> => {
  const path = packagePath(cacheDir, item.sha256)
  return Effect.tryPromise({ try: () => sha256Of(path), catch: diskFailure(`reading ${item.name}`) }).pipe(
    Effect.flatMap((found) =>
      found === item.sha256
        ? Effect.promise(() => utimes(path, new Date(), new Date()).catch(() => {}))
        : Effect.andThen(
            Effect.promise(() => rm(path, { force: true })),
            Effect.fail(
              new BuildFailed({
                class: "repository",
                message: `${item.name} ${item.version} was damaged in the cache and is thrown out`
              })
            )
          )
    )
  )
}
