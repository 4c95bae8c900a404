/** One HTTP request of a registry's client: a small answer, nothing followed, no address that only the machine itself can mean. */
import { createReadStream } from "node:fs"
import { type IncomingHttpHeaders, type IncomingMessage, request as httpRequest } from "node:http"
import { request as httpsRequest } from "node:https"
import { buffer } from "node:stream/consumers"
import { pipeline } from "node:stream/promises"
import { Effect, type Scope } from "effect"
import type { BuildFailed } from "../../../domain/ports/image-builder.ts"
import { AttemptMeter } from "../../../domain/ports/meter.ts"
import { type Agents, agentsFor, destroy } from "../agents.ts"
import { assertPublic } from "../public-hosts.ts"
import { unreachable } from "./failures.ts"

/** Bytes of a file, so that they can be sent again. */
export interface FilePart {
  readonly path: string
  readonly start: number
  readonly length: number
  readonly onBytes?: (bytes: number) => void
}

export interface Asked {
  readonly method: "GET" | "HEAD" | "POST" | "PATCH" | "PUT" | "DELETE"
  readonly url: URL
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer | FilePart
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface Access {
  /** Whether addresses of the machine itself and of its link are spoken to. */
  readonly privateHosts: boolean
  /** Certificates that count beside the system's. */
  readonly ca?: string
}

export type Send = (asked: Asked) => Effect.Effect<Answer, BuildFailed>

/** Registries check the digest of what they were sent before they answer. */
const silenceMs = 300_000
const longestAnswer = 4 * 2 ** 20

export const requests = ({ ca, privateHosts }: Access): Effect.Effect<Send, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.map(AttemptMeter, (meter) => agentsFor({ publicOnly: !privateHosts, meter, ...(ca !== undefined && { ca }) })),
      (agents) => Effect.sync(() => destroy(agents))
    ),
    (agents): Send => (asked) =>
      Effect.tryPromise({ try: (signal) => exchange(asked, agents, privateHosts, signal), catch: (error) => unreachable(asked.url, error as Error) })
  )

const exchange = async ({ body, headers = {}, method, url }: Asked, { http, https }: Agents, privateHosts: boolean, signal: AbortSignal): Promise<Answer> => {
  if (!privateHosts) assertPublic(url)
  const length = body instanceof Uint8Array ? body.length : body?.length
  const options = {
    method, signal, timeout: silenceMs,
    headers: { "user-agent": "kiln", accept: "application/json", ...(length !== undefined && { "content-length": String(length) }), ...headers }
  }
  const request = url.protocol === "https:" ? httpsRequest(url, { ...options, agent: https }) : httpRequest(url, { ...options, agent: http })
  request.on("timeout", () => request.destroy(new Error(`nothing heard for ${silenceMs / 1000} s`)))
  const answered = new Promise<IncomingMessage>((resolve, reject) => request.on("response", resolve).on("error", reject))
  const sent = body === undefined || body instanceof Uint8Array
    ? void request.end(body)
    : pipeline(partOf(body), request, { signal })
  // Who has answered before all was sent has closed, and is right to.
  sent?.catch(() => {})
  const response = await answered
  const text = await read(response)
  return { status: response.statusCode ?? 0, headers: response.headers, body: text }
}

/** An empty part has no last byte. */
const partOf = async function*({ length, onBytes, path, start }: FilePart) {
  if (length === 0) return
  for await (const chunk of createReadStream(path, { start, end: start + length - 1, highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    yield chunk
    onBytes?.(chunk.length)
  }
}

const read = async (response: IncomingMessage): Promise<Buffer> => {
  let size = 0
  return buffer((async function*() {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > longestAnswer) throw new Error(`an answer of more than ${longestAnswer} bytes`)
      yield chunk
    }
  })())
}
