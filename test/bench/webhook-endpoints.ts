/** Subscribers in a process of their own: those that answer at once, those that hang, those that refuse. Tells how late what came was. */
import { createServer, type RequestListener, type Server } from "node:http"
import type { AddressInfo } from "node:net"

export interface Endpoints {
  readonly live: string
  readonly hanging: string
  readonly refusing: string
  /** Nobody listens there. */
  readonly closed: string
}

export interface Came {
  readonly count: number
  /** Milliseconds from a decision's own time, of what came since the last question. */
  readonly late: ReadonlyArray<number>
}

const listening = (listener: RequestListener): Promise<Server> =>
  new Promise((resolve) => {
    const server = createServer({ keepAliveTimeout: 30_000 }, listener).listen(0, "127.0.0.1", () => resolve(server))
  })
const urlOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`

let late: Array<number> = []
const seen = new Set<string>()

const live = await listening((request, response) => {
  const parts: Array<Buffer> = []
  request.on("data", (part: Buffer) => void parts.push(part))
  request.on("end", () => {
    response.end()
    const now = Date.now()
    const [, time] = /"time":"([^"]+)"/.exec(Buffer.concat(parts).toString("latin1")) ?? []
    const key = `${request.url} ${String(request.headers["webhook-id"])}`
    if (seen.has(key)) return
    seen.add(key)
    late.push(now - Date.parse(time!))
  })
})
const hanging = await listening((request) => void request.resume())
const refusing = await listening((request, response) => {
  request.resume()
  response.writeHead(500).end()
})
const closed = await listening(() => {})
const endpoints: Endpoints = { live: urlOf(live), hanging: urlOf(hanging), refusing: urlOf(refusing), closed: urlOf(closed) }
closed.close()

process.on("message", () => {
  const came: Came = { count: seen.size, late }
  late = []
  process.send!(came)
})
process.send!(endpoints)
