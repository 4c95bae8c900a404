/**
 * A door before a registry: counts what goes in, ends a client in the middle of what it does, and, unlike the registry
 * behind it, can keep what it has of a request that was cut off.
 */
import { createHash } from "node:crypto"
import { createServer, type IncomingMessage, request as httpRequest, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { buffer } from "node:stream/consumers"
import { Effect } from "effect"
import { indexType } from "../../domain/registry-manifest.ts"

export interface Passed {
  readonly method: string
  readonly path: string
  readonly bytes: number
  readonly authorization: string | undefined
}

export interface Front {
  readonly host: string
  readonly port: number
  readonly passed: Array<Passed>
  /** Body bytes that came in by requests of this method. */
  bytesBy(method: string): number
  /** Answers when the request of this number, the first is 1, has been carried out; neither it nor a later one is answered. */
  stopAt(request: number): Promise<void>
  /** Answers when so many bytes of a PATCH have come in, whose rest is never read. */
  cutAt(bytes: number): Promise<void>
  /** Begins to count anew, and answers again. */
  reset(): void
  /** What it says in place of the registry; nothing lets a request pass. */
  answering: (request: IncomingMessage, number: number) => { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string } | undefined
}

export interface FrontOptions {
  /** Of a PATCH that is cut off, what came of it is sent on. */
  readonly keeps?: boolean
  /** It keeps account of what is said of what, as version 1.1 wants it. */
  readonly referrers?: boolean
}

export const registryFront = ({ port }: { readonly port: number }, { keeps = false, referrers = false }: FrontOptions = {}) =>
  Effect.map(Effect.acquireRelease(
    Effect.promise(async () => {
      let [seen, last, cut] = [0, Infinity, Infinity]
      let reached = () => {}
      /** Where an upload is now, by its path: who was cut off knows an older place. */
      const places = new Map<string, string>()
      /** Bytes that the registry has of an upload; what goes elsewhere is refused, which the registry behind does not do. */
      const offsets = new Map<string, number>()
      const said = new Map<string, Array<{ readonly digest: string }>>()
      const front: Omit<Front, "host" | "port"> = {
        passed: [],
        answering: () => undefined,
        bytesBy: (method) => front.passed.filter((each) => each.method === method).reduce((sum, { bytes }) => sum + bytes, 0),
        stopAt: (request) => {
          [seen, last] = [0, request]
          return new Promise((resolve) => void (reached = resolve))
        },
        cutAt: (bytes) => {
          cut = bytes
          return new Promise((resolve) => void (reached = resolve))
        },
        reset: () => {
          [seen, last, cut] = [0, Infinity, Infinity]
          front.passed.length = 0
        }
      }

      const bodyOf = async (request: IncomingMessage): Promise<{ readonly body: Buffer; readonly whole: boolean }> => {
        if (request.method !== "PATCH" || cut === Infinity) return { body: await buffer(request), whole: true }
        const chunks: Array<Buffer> = []
        for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
          chunks.push(chunk.subarray(0, cut))
          cut -= chunk.length
          if (cut <= 0) return { body: Buffer.concat(chunks), whole: false }
        }
        return { body: Buffer.concat(chunks), whole: true }
      }

      const misplaced = ({ headers, method, url = "" }: IncomingMessage, body: Buffer, whole: boolean): boolean => {
        if (method !== "PATCH") return false
        const [, from, to] = /^(\d+)-(\d+)$/.exec(headers["content-range"] ?? "") ?? []
        return Number(from) !== (offsets.get(url.replace(/\?.*/, "")) ?? 0) || (whole && Number(to) - Number(from) + 1 !== body.length)
      }

      const listing = ({ method, url = "" }: IncomingMessage) => {
        const subject = method === "GET" ? /\/referrers\/(sha256:[0-9a-f]+)$/.exec(url)?.[1] : undefined
        return subject === undefined ? undefined : said.get(subject) ?? []
      }

      const noted = ({ method, url = "" }: IncomingMessage, body: Buffer): string | undefined => {
        const reference = /\/manifests\/([^/]+)$/.exec(url)?.[1]
        if (reference === undefined) return undefined
        if (method === "DELETE") for (const [key, each] of said) said.set(key, each.filter(({ digest }) => digest !== reference))
        if (method !== "PUT") return undefined
        const { annotations, artifactType, mediaType, subject } = JSON.parse(body.toString()) as Record<string, unknown> & { readonly subject?: { readonly digest: string } }
        if (subject === undefined) return undefined
        const entry = { mediaType, digest: `sha256:${createHash("sha256").update(body).digest("hex")}`, size: body.length, artifactType, annotations }
        said.set(subject.digest, [...(said.get(subject.digest) ?? []).filter(({ digest }) => digest !== entry.digest), entry])
        return subject.digest
      }

      const handle = async (request: IncomingMessage, response: ServerResponse) => {
        const mine = ++seen
        if (mine > last) return
        const { body, whole } = await bodyOf(request)
        const path = request.url ?? "/"
        front.passed.push({ method: request.method ?? "", path, bytes: body.length, authorization: request.headers.authorization })
        const own = front.answering(request, mine)
        if (own !== undefined) return void response.writeHead(own.status, own.headers).end(own.body)
        if (!whole && !keeps) return reached()
        const wrong = misplaced(request, body, whole)
        if (wrong) return void response.writeHead(416).end()
        const listed = referrers ? listing(request) : undefined
        if (listed !== undefined) return void response.writeHead(200, { "content-type": indexType }).end(JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests: listed }))
        const place = keeps ? places.get(path.replace(/\?.*/, "")) : undefined
        const onward = place === undefined ? path : place + (path.includes("digest=") ? `&digest=${new URL(path, "http://x").searchParams.get("digest")}` : "")
        const answer = await forward(port, request, onward, body)
        const location = answer.headers.location
        if (location !== undefined && location.includes("/uploads/")) {
          const { pathname, search } = new URL(location, `http://${request.headers.host}`)
          places.set(pathname, pathname + search)
          const range = /-(\d+)$/.exec(String(answer.headers.range))?.[1] ?? "0"
          offsets.set(pathname, range === "0" ? 0 : Number(range) + 1)
        }
        const subject = referrers ? noted(request, body) : undefined
        if (subject !== undefined) answer.headers["oci-subject"] = subject
        if (!whole || mine >= last) return reached()
        response.writeHead(answer.statusCode ?? 502, answer.headers).end(answer.body)
      }

      const server = createServer((request, response) => void handle(request, response).catch(() => response.destroy()))
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      const { port: own } = server.address() as AddressInfo
      return { server, front: Object.assign(front, { port: own, host: `127.0.0.1:${own}` }) satisfies Front }
    }),
    ({ server }) => Effect.callback<void>((resume) => {
      server.closeAllConnections()
      server.close(() => resume(Effect.void))
    })
  ), ({ front }): Front => front)

const ours = new Set(["content-length", "transfer-encoding", "content-range"])

const forward = async (port: number, { headers: all, method }: IncomingMessage, path: string, body: Buffer) => {
  const headers = Object.fromEntries(Object.entries(all).filter(([name]) => !ours.has(name)))
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    httpRequest({ host: "127.0.0.1", port, method, path, headers: { ...headers, ...(body.length > 0 || method !== "GET" ? { "content-length": String(body.length) } : {}) } }, resolve).on("error", reject).end(body)
  })
  return Object.assign(answer, { body: await buffer(answer) })
}
