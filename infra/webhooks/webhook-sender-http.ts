/** Sends by HTTP, to nobody who is refused: judged when it connects, whatever the name stands for by then. */
import { type IncomingMessage, request as requestHttp } from "node:http"
import { request as requestHttps } from "node:https"
import { Effect, Layer } from "effect"
import { type Answer, type Letter, WebhookSender } from "../../domain/ports/webhook-sender.ts"
import { agentOf, type Agents, agentsFor, destroy } from "../targets/agents.ts"
import { type LookUp, PrivateHost } from "../targets/public-hosts.ts"

export interface SenderOptions {
  readonly refuses: (address: string) => boolean
  /** For an answer to begin. */
  readonly timeoutMs: number
  readonly lookUp?: LookUp
  readonly ca?: string
}

/** Of an answer so much is kept, and no more is read. */
const excerptBytes = 1024
/** What is still to come once an answer has begun changes nothing. */
const bodyWithinMs = 2000

export const WebhookSenderHttp = ({ ca, lookUp, refuses, timeoutMs }: SenderOptions) =>
  Layer.effect(WebhookSender, Effect.gen(function*() {
    // A proxy would look names up itself. Of one endpoint never many are asked at once, but many may live on one host.
    const reach = { publicOnly: true, refuses, proxied: false, maxSockets: Infinity, ...(lookUp && { lookUp }), ...(ca !== undefined && { ca }) }
    const agents = yield* Effect.acquireRelease(Effect.sync(() => agentsFor(reach)), (opened) => Effect.sync(() => destroy(opened)))
    return WebhookSender.of({ send: (letter) => send(agents, timeoutMs, letter) })
  }))

const send = (agents: Agents, timeoutMs: number, { body, headers, url }: Letter): Effect.Effect<Answer> =>
  Effect.callback<Answer>((resume) => {
    let over = false
    const ask = url.startsWith("https:") ? requestHttps : requestHttp
    const end = (answer: Answer) => {
      if (over) return
      over = true
      clearTimeout(timer)
      resume(Effect.succeed(answer))
    }
    const timer = setTimeout(() => asked?.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)), timeoutMs)
    const asked = guarded(() => ask(url, { method: "POST", agent: agentOf(agents, url), headers: { ...headers, "content-length": Buffer.byteLength(body) } }), end)
    if (asked === undefined) return
    asked.on("error", (error) => end(unanswered(error)))
    asked.on("response", (response) => {
      clearTimeout(timer)
      read(response, end)
    })
    asked.end(body)
    return Effect.sync(() => {
      over = true
      clearTimeout(timer)
      asked.destroy()
    })
  })

/** An address that no client can make sense of. */
const guarded = <A>(run: () => A, end: (answer: Answer) => void): A | undefined => {
  try {
    return run()
  } catch (error) {
    end(unanswered(error as Error))
    return undefined
  }
}

/** Its status says all; of its body the beginning is kept. What is longer, or takes longer, is not waited for. */
const read = (response: IncomingMessage, end: (answer: Answer) => void) => {
  const parts: Array<Buffer> = []
  let bytes = 0
  const done = () => {
    clearTimeout(timer)
    end({ status: response.statusCode, error: undefined, excerpt: excerptOf(parts), retryAfterMs: retryAfter(response.headers["retry-after"]) })
  }
  const enough = () => {
    response.destroy()
    done()
  }
  const timer = setTimeout(enough, bodyWithinMs)
  response.on("data", (part: Buffer) => {
    if (bytes < excerptBytes) parts.push(part.subarray(0, excerptBytes - bytes))
    bytes += part.length
    // A little more is read, so that the connection can be used again.
    if (bytes > 16 * excerptBytes) enough()
  })
  response.on("end", done)
  response.on("error", done)
}

const excerptOf = (parts: ReadonlyArray<Buffer>): string | undefined => {
  const text = Buffer.concat(parts).toString("utf8").replaceAll("\u0000", "\ufffd")
  return text === "" ? undefined : text
}

const unanswered = (error: Error): Answer => ({
  status: undefined, excerpt: undefined, retryAfterMs: undefined,
  error: error instanceof PrivateHost ? "the endpoint leads to an address that webhooks may not reach here" : firstOf(error)
})

/** With several addresses there are several reasons. */
const firstOf = (error: Error): string => {
  const [first] = error instanceof AggregateError ? error.errors as ReadonlyArray<Error> : [error]
  return (first?.message || (first as NodeJS.ErrnoException | undefined)?.code || "the connection failed").slice(0, 300)
}

/** Seconds or a date. */
const retryAfter = (header: string | undefined): number | undefined => {
  if (header === undefined) return undefined
  const millis = /^\d{1,9}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now()
  return Number.isFinite(millis) && millis > 0 ? millis : undefined
}
