/** A lean HTTP/1.1 client over kept connections: the load must not cost more than what it measures. */
import { request as httpRequest, Agent } from "node:http"

export interface Answer {
  readonly status: number
  readonly body: string
}

export const client = (url: string, token: string, connections: number) => {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const { hostname, port } = new URL(url)
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" }
  const send = (method: string, path: string, body?: string): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const sending = httpRequest({ agent, hostname, port, method, path, headers: body === undefined ? headers : { ...headers, "content-length": Buffer.byteLength(body) } }, (response) => {
        let text = ""
        response.setEncoding("utf8").on("data", (part: string) => text += part)
          .on("end", () => resolve({ status: response.statusCode ?? 0, body: text })).on("error", reject)
      })
      sending.on("error", reject).end(body)
    })
  return { send, close: () => agent.destroy() }
}
