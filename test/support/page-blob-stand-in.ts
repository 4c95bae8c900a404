/**
 * Stands in for Azure's page blobs as far as deliveries take them. It verifies shared keys' signatures and tokens, and
 * refuses pages off the 512-byte grid, beyond 4 MiB or the blob's end, of another checksum than said, and names that may
 * not be. Bytes lie in sparse files, for tests to look at.
 */
import { createHash, createHmac } from "node:crypto"
import { closeSync, ftruncateSync, openSync, rmSync, writeSync } from "node:fs"
import type { IncomingMessage } from "node:http"
import { join } from "node:path"
import { Refused } from "./azure-authority.ts"
import type { Answer } from "./stand-in.ts"

export interface StoredBlob {
  readonly name: string
  readonly size: number
  readonly file: string
  readonly made: Date
  metadata: Readonly<Record<string, string>>
  etag: string
}

export const account = "exampleimages"
export const container = "images"
export const storageKey = Buffer.from("an example's key, of no account at all").toString("base64")
const MiB = 2 ** 20

export const blobRefusal = (status: number, code: string, message: string, headers: Record<string, string> = {}): Answer => ({
  status, headers: { "x-ms-error-code": code, "content-type": "application/xml", ...headers },
  body: `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`
})

export const pageBlobStandIn = (dir: string, isToken: (token: string) => boolean) => {
  const blobs = new Map<string, StoredBlob>()
  const containers = new Set([container])
  let [bytes, made, writes] = [0, 0, 0]

  const authorized = (request: IncomingMessage, url: URL) => {
    const [, token] = /^Bearer (.+)$/.exec(request.headers.authorization ?? "") ?? []
    if (token !== undefined && isToken(token)) return
    const [, signature] = new RegExp(`^SharedKey ${account}:(.+)$`).exec(request.headers.authorization ?? "") ?? []
    if (signature === undefined) throw new Refused(401, "NoAuthenticationInformation", "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.")
    if (signature !== signatureOf(request, url)) {
      throw new Refused(403, "AuthenticationFailed", "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.")
    }
  }

  const blobAt = (key: string) => {
    const blob = blobs.get(key)
    if (blob === undefined) throw new Refused(404, "BlobNotFound", "The specified blob does not exist.")
    return blob
  }
  const metadataIn = (request: IncomingMessage) => {
    const metadata = Object.fromEntries(Object.entries(request.headers).flatMap(([name, value]) => name.startsWith("x-ms-meta-") ? [[name.slice(10), String(value)]] : []))
    const wrong = Object.keys(metadata).find((name) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    if (wrong !== undefined) throw new Refused(400, "InvalidMetadata", `The metadata specified is invalid: ${wrong} is no identifier.`)
    return metadata
  }
  const headersOf = (blob: StoredBlob) => ({
    etag: blob.etag, "last-modified": blob.made.toUTCString(), "x-ms-request-id": crypto.randomUUID(), "x-ms-version": "2026-02-06"
  })

  const create = (key: string, request: IncomingMessage): Answer => {
    if (request.headers["x-ms-blob-type"] !== "PageBlob") throw new Refused(400, "InvalidHeaderValue", "x-ms-blob-type")
    const size = Number(request.headers["x-ms-blob-content-length"])
    if (!Number.isInteger(size) || size % 512 !== 0) throw new Refused(400, "InvalidHeaderValue", "x-ms-blob-content-length must be aligned to a 512-byte boundary.")
    if (request.headers["if-none-match"] === "*" && blobs.has(key)) throw new Refused(409, "BlobAlreadyExists", "The specified blob already exists.")
    const file = join(dir, `blob-${++made}`)
    const fd = openSync(file, "w")
    ftruncateSync(fd, size)
    closeSync(fd)
    const blob: StoredBlob = { name: key.slice(key.indexOf("/") + 1), size, file, made: new Date(), metadata: metadataIn(request), etag: `"0x${made}"` }
    blobs.set(key, blob)
    return { status: 201, headers: headersOf(blob) }
  }

  const write = (blob: StoredBlob, request: IncomingMessage, body: Buffer): Answer => {
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(String(request.headers["x-ms-range"] ?? request.headers.range)) ?? []
    const [start, end] = [Number(from), Number(to) + 1]
    if (request.headers["x-ms-page-write"] !== "update" || from === undefined) throw new Refused(400, "InvalidHeaderValue", "x-ms-page-write")
    if (start % 512 !== 0 || end % 512 !== 0 || end - start !== body.length || end > blob.size) throw new Refused(416, "InvalidPageRange", "The page range specified is invalid.")
    if (body.length > 4 * MiB) throw new Refused(413, "RequestBodyTooLarge", "The request body is too large and exceeds the maximum permissible limit.")
    const md5 = request.headers["content-md5"]
    if (md5 !== createHash("md5").update(body).digest("base64")) throw new Refused(400, "Md5Mismatch", "The MD5 value specified in the request did not match with the MD5 value calculated by the server.")
    const fd = openSync(blob.file, "r+")
    writeSync(fd, body, 0, body.length, start)
    closeSync(fd)
    bytes += body.length
    writes++
    blob.etag = `"0x${++made}"`
    return { status: 201, headers: { ...headersOf(blob), "content-md5": md5, "x-ms-blob-sequence-number": "0" } }
  }

  const list = (place: string, url: URL): Answer => {
    const found = [...blobs].filter(([key, { name }]) => key.startsWith(`${place}/`) && name.startsWith(url.searchParams.get("prefix") ?? ""))
    const from = Number(url.searchParams.get("marker") ?? 0)
    const shown = found.slice(from, from + 2).map(([, blob]) => `<Blob><Name>${blob.name}</Name><Properties><Creation-Time>${blob.made.toUTCString()}</Creation-Time><Last-Modified>${blob.made.toUTCString()}</Last-Modified><Etag>${blob.etag.slice(1, -1)}</Etag><Content-Length>${blob.size}</Content-Length><BlobType>PageBlob</BlobType></Properties><Metadata>${
      Object.entries(blob.metadata).map(([name, value]) => `<${name}>${value}</${name}>`).join("")}</Metadata></Blob>`)
    const next = found.length > from + 2 ? String(from + 2) : ""
    return {
      status: 200, headers: { "content-type": "application/xml" },
      body: `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="https://stand-in/" ContainerName="${place}"><Blobs>${shown.join("")}</Blobs><NextMarker>${next}</NextMarker></EnumerationResults>`
    }
  }

  const act = (request: IncomingMessage, url: URL, body: Buffer): Answer => {
    authorized(request, url)
    if (!/^20\d\d-\d\d-\d\d$/.test(String(request.headers["x-ms-version"]))) throw new Refused(400, "MissingRequiredHeader", "x-ms-version")
    const [, place = "", name] = /^\/[^/]+\/([^/]+)(?:\/(.+))?$/.exec(decodeURIComponent(url.pathname)) ?? []
    if (!containers.has(place)) throw new Refused(404, "ContainerNotFound", "The specified container does not exist.")
    const comp = url.searchParams.get("comp") ?? ""
    if (name === undefined) {
      if (request.method === "GET" && comp === "list") return list(place, url)
      throw new Refused(405, "UnsupportedHttpVerb", "The resource doesn't support specified Http Verb.")
    }
    const key = `${place}/${name}`
    if (request.method === "PUT" && comp === "") return create(key, request)
    const blob = blobAt(key)
    if (request.method === "PUT" && comp === "page") return write(blob, request, body)
    if (request.method === "PUT" && comp === "metadata") {
      blob.metadata = metadataIn(request)
      return { status: 200, headers: headersOf(blob) }
    }
    if (request.method === "HEAD") {
      const metadata = Object.fromEntries(Object.entries(blob.metadata).map(([key, value]) => [`x-ms-meta-${key}`, value]))
      return { status: 200, headers: { ...headersOf(blob), ...metadata, "content-length": String(blob.size), "x-ms-blob-type": "PageBlob", "x-ms-creation-time": blob.made.toUTCString() } }
    }
    if (request.method !== "DELETE") throw new Refused(405, "UnsupportedHttpVerb", "The resource doesn't support specified Http Verb.")
    blobs.delete(key)
    rmSync(blob.file)
    return { status: 202, headers: headersOf(blob) }
  }

  return {
    blobs, containers,
    /** Of pages, in all. */
    bytesReceived: () => bytes,
    writes: () => writes,
    blob: (url: string): StoredBlob | undefined => blobs.get(decodeURIComponent(new URL(url).pathname).split("/").slice(2).join("/")),
    answer: (request: IncomingMessage, url: URL, body: Buffer): Answer => {
      try {
        return act(request, url, body)
      } catch (error) {
        if (!(error instanceof Refused)) throw error
        return blobRefusal(error.status, error.code, error.message)
      }
    }
  }
}
export type PageBlobStandIn = ReturnType<typeof pageBlobStandIn>

/** Of a request by shared key. */
const signatureOf = ({ headers, method = "" }: IncomingMessage, url: URL): string => {
  const length = headers["content-length"] ?? ""
  const plain = [
    method, headers["content-encoding"], headers["content-language"], length === "0" ? "" : length, headers["content-md5"], headers["content-type"],
    headers.date, headers["if-modified-since"], headers["if-match"], headers["if-none-match"], headers["if-unmodified-since"], headers.range
  ].map((value) => value ?? "")
  const own = Object.keys(headers).filter((name) => name.startsWith("x-ms-")).toSorted().map((name) => `${name}:${headers[name]}`)
  const query = [...new Set(url.searchParams.keys())].toSorted().map((name) => `\n${name.toLowerCase()}:${url.searchParams.getAll(name).toSorted().join(",")}`)
  const text = [...plain, ...own, `/${account}${url.pathname}${query.join("")}`].join("\n")
  return createHmac("sha256", Buffer.from(storageKey, "base64")).update(text, "utf8").digest("base64")
}
