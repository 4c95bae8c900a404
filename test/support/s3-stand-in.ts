/**
 * Stands in for S3: buckets, objects and multipart uploads over HTTP, in path style. It refuses what is not signed, what is
 * not the bytes that were promised, and what S3 is known to refuse; what it does not know it answers with 501. It fails as it
 * is told to, at the n-th request or in the midst of a body, and counts what it was sent.
 */
import { createHash } from "node:crypto"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { Effect } from "effect"
import { answer, type S3Answer } from "./s3-answers.ts"
import { type S3Account, signatureOf } from "./s3-signature.ts"
import { contentOf, S3Refused, S3Store, type StoreRules } from "./s3-store.ts"

export interface S3Request {
  /** 1 for the first that came. */
  readonly n: number
  /** `PUT key partNumber`: method, key and what is asked about it. */
  readonly method: string
  readonly path: string
  readonly query: ReadonlyMap<string, string>
  /** As S3 calls it, such as `UploadPart`. */
  readonly operation: string
}

/** `refuse`: answers so. `drop`: hangs up without a look at it, or after so many bytes of the body. `lose`: does it, and hangs up in place of an answer. */
export type S3Fault =
  | { readonly refuse: string; readonly status: number; readonly message?: string; readonly headers?: Readonly<Record<string, string>> }
  | { readonly drop: true | number }
  | { readonly lose: true }
  /** Does nothing before that is resolved. */
  | { readonly wait: Promise<unknown> }
  /** Does it, says so here, and never answers. */
  | { readonly hang: () => void }

export interface S3Options extends Partial<StoreRules> {
  readonly accounts?: Iterable<readonly [string, S3Account]>
  readonly port?: number
}

export const s3Keys = { access_key_id: "AKIDS3EXAMPLE", secret_access_key: "an example's secret for s3" }

export interface S3Server {
  readonly endpoint: string
  readonly store: S3Store
  /** By access key; more may be added at any time. */
  readonly accounts: Map<string, S3Account>
  /** All that came, oldest first, with how it was answered; 0 for no answer at all. */
  readonly asked: Array<S3Request & { status: number; received: number }>
  /** Asked for every request that is signed well. */
  fault: (request: S3Request) => S3Fault | undefined
  /** Bytes of bodies of parts and whole objects that were received and kept. */
  bytesKept: number
  readonly close: () => Promise<void>
}

export const startS3 = async ({ accounts = [[s3Keys.access_key_id, { secretAccessKey: s3Keys.secret_access_key }]], forgetful = false, leastPart = 5 << 20, port = 0 }: S3Options = {}): Promise<S3Server> => {
  const store = new S3Store({ leastPart, forgetful })
  const server = createServer((request, response) => void serve(request, response))
  // Only then does the sender begin with the body.
  server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => void serve(request, response))
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve))
  const standing: S3Server = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    store, accounts: new Map(accounts), asked: [], fault: () => undefined, bytesKept: 0,
    close: () => new Promise((resolve) => {
      server.closeAllConnections()
      server.close(() => resolve())
    })
  }

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const asked = requestOf(request, standing.asked.length + 1)
    const seen = Object.assign(asked, { status: 0, received: 0 })
    standing.asked.push(seen)
    const send = ({ body = "", headers = {}, status, stream }: S3Answer) => {
      seen.status = status
      response.writeHead(status, { "x-amz-request-id": String(seen.n), ...headers })
      if (stream === undefined || request.method === "HEAD") return void response.end(request.method === "HEAD" ? undefined : body)
      for (const chunk of stream) response.write(chunk)
      response.end()
    }
    let fault: S3Fault | undefined
    try {
      const signed = signatureOf(request, standing.accounts)
      if ("code" in signed) throw new S3Refused(signed.status, signed.code, signed.message)
      fault = standing.fault(asked)
      if (fault !== undefined && "refuse" in fault) {
        return send({ ...refusal(new S3Refused(fault.status, fault.refuse, fault.message ?? "as the test wants it")), headers: fault.headers ?? {} })
      }
      if (fault !== undefined && "drop" in fault && fault.drop === true) return void request.socket.destroy()
      if (request.headers.expect !== undefined) response.writeContinue()
      const chunks: Array<Buffer> = []
      const hash = createHash("sha256")
      for await (const chunk of request as AsyncIterable<Buffer>) {
        seen.received += chunk.length
        if (fault !== undefined && "drop" in fault && seen.received >= Number(fault.drop)) return void request.socket.destroy()
        if (signed.payload !== undefined) hash.update(chunk)
        chunks.push(chunk)
      }
      if (signed.payload !== undefined && hash.digest("hex") !== signed.payload) {
        throw new S3Refused(400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
      }
      if (fault !== undefined && "wait" in fault) await fault.wait
      const answered = answer(store, asked, request.headers, signed.region, () => {
        if (request.headers["content-length"] === undefined) throw new S3Refused(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
        return contentOf(chunks, store.rules, signed.payload)
      }, Buffer.concat(asked.method === "POST" ? chunks : []).toString())
      if ((asked.operation === "UploadPart" || asked.operation === "PutObject") && answered.status === 200) standing.bytesKept += seen.received
      if (fault !== undefined && "lose" in fault) return void request.socket.destroy()
      if (fault !== undefined && "hang" in fault) return fault.hang()
      send(answered)
    } catch (error) {
      if (response.headersSent || request.socket.destroyed) return
      if (fault !== undefined && "hang" in fault) return fault.hang()
      send(refusal(error instanceof S3Refused ? error : new S3Refused(500, "InternalError", String(error))))
      // The rest of a body that nobody wants.
      request.resume()
    }
  }
  return standing
}

export const s3StandIn = (options: S3Options = {}) =>
  Effect.acquireRelease(Effect.promise(() => startS3(options)), ({ close }) => Effect.promise(close))

/** The n-th request of those, and no other. */
export const nth = (n: number, operation: string | RegExp, fault: S3Fault) => {
  let seen = 0
  return (request: S3Request): S3Fault | undefined => {
    const isMeant = typeof operation === "string" ? request.operation === operation : operation.test(request.operation)
    return isMeant && ++seen === n ? fault : undefined
  }
}

const refusal = ({ code, message, status }: S3Refused): S3Answer => ({
  status, headers: { "content-type": "application/xml" },
  body: `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message><RequestId>r-1</RequestId></Error>`
})

const requestOf = ({ method = "", url = "" }: IncomingMessage, n: number): S3Request => {
  const parsed = new URL(url, "http://host")
  const query = new Map(parsed.searchParams)
  const path = decodeURIComponent(parsed.pathname)
  return { n, method, path, query, operation: operationOf(method, path, query) }
}

const operationOf = (method: string, path: string, query: ReadonlyMap<string, string>): string => {
  const ofObject = /^\/[^/]+\/./.test(path)
  const asks = (...names: ReadonlyArray<string>) => names.every((name) => query.has(name))
  if (!ofObject) {
    if (method === "HEAD") return "HeadBucket"
    if (method !== "GET") return "Unknown"
    return asks("uploads") ? "ListMultipartUploads" : asks("location") ? "GetBucketLocation" : query.get("list-type") === "2" ? "ListObjectsV2" : "Unknown"
  }
  const known: Readonly<Record<string, string | undefined>> = {
    GET: asks("uploadId") ? "ListParts" : asks("tagging") || asks("acl") ? undefined : "GetObject",
    HEAD: "HeadObject",
    PUT: asks("partNumber", "uploadId") ? "UploadPart" : asks("tagging") || asks("acl") ? undefined : "PutObject",
    POST: asks("uploads") ? "CreateMultipartUpload" : asks("uploadId") ? "CompleteMultipartUpload" : undefined,
    DELETE: asks("uploadId") ? "AbortMultipartUpload" : "DeleteObject"
  }
  return known[method] ?? "Unknown"
}
