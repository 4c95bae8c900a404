/** An HTTP server of a test that plays a cloud's service: what it is not asked rightly it refuses, and it keeps what it was asked. */
import { Effect } from "effect"
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http"
import { createServer as createTlsServer } from "node:https"
import type { AddressInfo } from "node:net"
import { buffer } from "node:stream/consumers"

export interface Answer {
  readonly status: number
  readonly body?: string | object
  readonly headers?: Readonly<Record<string, string>>
}

export type Handler = (request: IncomingMessage, body: Buffer) => Answer | Promise<Answer>

export interface Tls {
  readonly key: string
  readonly cert: string
}

/** Answers with the port, of this machine alone unless another of its addresses is named. */
export const listen = (handle: Handler, tls?: Tls, host = "127.0.0.1") =>
  Effect.map(Effect.acquireRelease(
    Effect.callback<Server>((resume) => {
      const listener: RequestListener = async (request, response) => {
        // Who asks may go away in the middle of it.
        const { body = "", headers = {}, status } = await buffer(request).then((whole) => handle(request, whole))
          .catch((error: unknown): Answer => ({ status: 500, body: String(error) }))
        const json = typeof body === "object"
        response.writeHead(status, { ...(json && { "content-type": "application/json" }), ...headers }).end(json ? JSON.stringify(body) : body)
      }
      const server = tls === undefined ? createServer(listener) : createTlsServer({ ...tls }, listener)
      server.listen(0, host, () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.callback<void>((resume) => {
      server.closeAllConnections()
      server.close(() => resume(Effect.void))
    })
  ), (server) => (server.address() as AddressInfo).port)
