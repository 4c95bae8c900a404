/** Connections to targets. One that a tenant has named does not lead to the machine itself, whatever its name stands for by then. */
import { Agent as HttpAgent, type ClientRequest } from "node:http"
import { Agent as HttpsAgent } from "node:https"
import { isIP, type LookupFunction, type Socket } from "node:net"
import type { Meter } from "../../domain/ports/meter.ts"
import { isPrivateAddress } from "../../domain/private-host.ts"
import { type LookUp, lookupWithout, PrivateHost } from "./public-hosts.ts"

export interface Reach {
  /** Whether nothing private is connected to: looked at when it is, since a name may stand for another address every time. */
  readonly publicOnly: boolean
  /** What counts as private, if not what is of the machine itself and its link; how names are looked up; whether by the operator's proxy. */
  readonly refuses?: (address: string) => boolean
  readonly lookUp?: LookUp
  readonly proxied?: boolean
  readonly maxSockets?: number
  /** Certificates that count beside the system's. */
  readonly ca?: string
  /** Told of every request, also of one that is made again and of one that follows a redirect, and of what goes out by it. */
  readonly meter?: Pick<Meter, "cloudCall" | "sending"> | undefined
}

export interface Agents {
  readonly http: HttpAgent
  readonly https: HttpsAgent
  /** The last of it: some SDKs say of a connection that failed that it failed, and nothing more. */
  readonly refused: () => PrivateHost | undefined
}

/** They hold no connection until they are used; whoever made them destroys them. */
export const agentsFor = ({ ca, lookUp, maxSockets = 50, meter, proxied = true, publicOnly, refuses = isPrivateAddress }: Reach): Agents => {
  // A proxy is the operator's, and may be anywhere; it looks names up itself.
  let refused: PrivateHost | undefined
  const judged = lookupWithout(refuses, lookUp)
  const lookup: typeof judged = (host, options, found) => judged(host, options, (error, ...addresses) => {
    if (error instanceof PrivateHost) refused = error
    found(error, ...addresses)
  })
  const options = { keepAlive: true, maxSockets, ...(proxied && { proxyEnv: process.env }), ...(publicOnly && { lookup: lookup as LookupFunction }) }
  const [http, https] = [new HttpAgent(options), new HttpsAgent({ ...options, ...(ca !== undefined && { ca }) })]
  if (meter !== undefined) for (const agent of [http, https]) tell(agent, meter)
  const refuse = (host: string) => (refused = new PrivateHost(host))
  return {
    http: publicOnly ? withoutNumbers(http, refuses, refuse) : http,
    https: publicOnly ? withoutNumbers(https, refuses, refuse) : https,
    refused: () => refused
  }
}

export const destroy = ({ http, https }: Agents): void => {
  http.destroy()
  https.destroy()
}

export const agentOf = ({ http, https }: Agents, url: string | URL): HttpAgent => new URL(url).protocol === "http:" ? http : https

/** All that Node asks of an agent for a request; only its types do not name it. */
interface Asked {
  addRequest(request: ClientRequest, ...of: ReadonlyArray<unknown>): void
}

const tell = (agent: HttpAgent, { cloudCall, sending }: NonNullable<Reach["meter"]>): void => {
  const asked = agent as unknown as Asked
  const add = asked.addRequest.bind(agent)
  asked.addRequest = (request, ...of) => {
    cloudCall()
    request.once("socket", (socket: Socket) => {
      // A connection has one request at a time. Of TLS it counts what was to be sent.
      const before = socket.bytesWritten
      request.once("close", sending(() => Math.max(0, (socket.bytesWritten ?? before) - before)))
    })
    add(request, ...of)
  }
}

/** A number is not looked up. Redirects lead to them, too. */
const withoutNumbers = <A extends HttpAgent>(agent: A, refuses: (address: string) => boolean, refuse: (host: string) => PrivateHost): A => {
  const connect = agent.createConnection.bind(agent)
  agent.createConnection = (options, callback) => {
    const host = options.host ?? ""
    if (isIP(host) === 0 || !refuses(host)) return connect(options, callback)
    callback?.(refuse(host), undefined as never)
    return undefined
  }
  return agent
}
