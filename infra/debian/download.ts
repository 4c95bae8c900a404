/** One archive from one address into a file. */
import { createHash } from "node:crypto"
import { once } from "node:events"
import { createReadStream, createWriteStream, type WriteStream } from "node:fs"
import { rename, rm } from "node:fs/promises"
import { Agent as HttpAgent, get as httpGet, type IncomingMessage } from "node:http"
import type { LookupFunction } from "node:net"
import { Agent as HttpsAgent, get as httpsGet } from "node:https"
import { pipeline } from "node:stream/promises"
import { fileURLToPath } from "node:url"
import type { Readable } from "node:stream"
import { Effect } from "effect"
import type { LockedPackage } from "../../domain/manifest.ts"
import { machineAcquire } from "./apt-index.ts"
import { proxyOf } from "./apt-output.ts"
import { assertPublic, publicLookup } from "./public-hosts.ts"

export const atOnce = 6
const silenceMs = 30_000

export interface Agents {
  readonly proxied: boolean
  readonly http: HttpAgent
  readonly https: HttpsAgent
}

export const agents = Effect.map(machineAcquire, (dump): Agents => {
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

/** Another status than 200. */
class Refused extends Error {
  readonly status: number
  constructor(status: number) {
    super(`the server answered ${status}`)
    this.status = status
  }
}

/** Asking once more would change nothing. */
export const isGone = (error: unknown): boolean => error instanceof Refused && (error.status === 404 || error.status === 410)

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
  throw new Refused(statusCode)
}

/** There afterwards, whole and right, or not at all. */
export const download = async (
  { sha256, size: wanted }: LockedPackage,
  url: string,
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
    const archive = await opened(url, agent, signal, guarded)
    file = createWriteStream(part)
    await pipeline(
      archive,
      async function*(source: AsyncIterable<Buffer>) {
        for await (const chunk of source) {
          size += chunk.length
          if (size > wanted) throw new Error(`more than the ${wanted} bytes of the lock`)
          hash.update(chunk)
          onBytes(chunk.length)
          yield chunk
        }
      },
      file,
      { signal }
    )
    const got = hash.digest("hex")
    if (got !== sha256) throw new Error(`its SHA-256 is ${got}, not the lock's ${sha256}`)
    await rename(part, path)
  } catch (error) {
    onBytes(-size)
    // A file that is still being opened would be there after it was removed.
    if (file !== undefined && !file.closed) await once(file, "close").catch(() => {})
    await rm(part, { force: true })
    throw error
  }
}
