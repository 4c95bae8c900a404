/** A subscriber's server: it checks what it gets by the standard's own library, and keeps it. */
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http"
import { createServer as createTlsServer } from "node:https"
import type { AddressInfo } from "node:net"
import { Effect } from "effect"
import { Webhook } from "standardwebhooks"
import type { Tls } from "./stand-in.ts"

export interface Event {
  readonly id: string
  readonly type: string
  readonly source: string
  readonly subject: string
  readonly kilnposition: string
  readonly data: Readonly<Record<string, unknown>> & { readonly compose_id?: string }
}

export interface Got {
  readonly path: string
  readonly id: string
  readonly event: Event
  readonly headers: IncomingMessage["headers"]
  readonly at: number
  /** Whether it is from who knows one of these keys. */
  readonly isSignedBy: (...keys: ReadonlyArray<string>) => boolean
}

export type Behaviour = (got: Got, response: ServerResponse) => void

export const answering = (status: number, body = "", headers: Readonly<Record<string, string>> = {}): Behaviour => (_, response) =>
  void response.writeHead(status, headers).end(body)

export const webhookReceiver = Effect.fnUntraced(function*(behaviour: Behaviour = answering(200, "thank you"), tls?: Tls) {
  const state = { behaviour, got: [] as Array<Got> }
  const listen: RequestListener = (request, response) => {
    const parts: Array<Buffer> = []
    request.on("data", (part: Buffer) => void parts.push(part))
    request.on("end", () => {
      const body = Buffer.concat(parts).toString("utf8")
      const got = gotOf(request, body)
      state.got.push(got)
      state.behaviour(got, response)
    })
  }
  const server = yield* Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>>((resume) => {
      const made = tls === undefined ? createServer(listen) : createTlsServer({ key: tls.key, cert: tls.cert }, listen)
      made.listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
    }),
    (made) => Effect.sync(() => {
      made.closeAllConnections()
      made.close()
    })
  )
  const url = `${tls === undefined ? "http" : "https"}://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url, state, got: (path = "/") => state.got.filter((each) => each.path === path) }
})

const gotOf = (request: IncomingMessage, body: string): Got => ({
  path: request.url ?? "", id: String(request.headers["webhook-id"]), event: JSON.parse(body) as Event, headers: request.headers, at: Date.now(),
  isSignedBy: (...keys) => keys.every((key) => {
    try {
      new Webhook(key).verify(body, request.headers as Record<string, string>)
      return true
    } catch {
      return false
    }
  })
})

/** One compose's, each once, in the order in which they first came. */
export const firstOf = (got: ReadonlyArray<Got>, composeId: string): ReadonlyArray<string> =>
  [...new Set(got.filter(({ event }) => event.data.compose_id === composeId).map(({ event }) => event.type))]
