/** A service that says exactly what a test wants, and breaks off where it wants. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { Effect } from "effect"

export type Handler = (request: IncomingMessage, response: ServerResponse) => void

export interface FakeService {
  readonly url: string
  readonly requests: ReadonlyArray<IncomingMessage>
}

/** Each request takes the next handler; the last one stays. */
export const fakeService = (...handlers: ReadonlyArray<Handler>) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const requests: Array<IncomingMessage> = []
        const server = createServer((request, response) => {
          requests.push(request)
          handlers[Math.min(requests.length, handlers.length) - 1]!(request, response)
        })
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
        return { server, requests }
      }),
      ({ server }) => Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
    ),
    ({ requests, server }): FakeService => ({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests })
  )

export const json = (status: number, document: unknown): Handler => (_, response) => {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(document))
}

/** Server-sent events; then the connection ends, or is torn down. */
export const events = (text: string, torn = false): Handler => (_, response) => {
  response.writeHead(200, { "content-type": "text/event-stream" })
  response.write(text, () => setTimeout(() => torn ? response.destroy() : response.end(), 20))
}

export const event = (name: string, data: unknown, id?: string) =>
  `${id === undefined ? "" : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`

/** By the path's end. */
export const routes = (table: Readonly<Record<string, Handler>>): Handler => (request, response) => {
  const path = request.url!.split("?")[0]!
  const match = Object.entries(table).find(([end]) => path.endsWith(end))
  return (match?.[1] ?? json(404, { title: "Nothing there", detail: `there is no ${path}` }))(request, response)
}
