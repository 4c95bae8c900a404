/**
 * Stands in for Cloud Storage's JSON API as far as deliveries take it: objects by resumable upload, their metadata, lists,
 * removal, and which rights on a bucket one has. It refuses chunks of odd sizes or at the wrong place, names and queries
 * that the API does not know, and preconditions that do not hold. Bytes lie in files, for tests to look at.
 */
import { closeSync, openSync, readFileSync, rmSync, writeSync } from "node:fs"
import type { IncomingMessage } from "node:http"
import { join } from "node:path"
import { base64OfCrc, crc32c } from "./crc32c.ts"
import type { Answer } from "./stand-in.ts"

export interface StoredObject {
  readonly bucket: string
  readonly name: string
  readonly file: string
  readonly size: number
  readonly crc32c: string
  readonly generation: string
  readonly metadata: Readonly<Record<string, string>>
  readonly contentType: string
  readonly timeCreated: string
}

interface Session {
  readonly bucket: string
  readonly name: string
  readonly onlyNew: boolean
  readonly resource: { readonly metadata?: Record<string, string>; readonly contentType?: string; readonly crc32c?: string }
  readonly file: string
  received: number
  crc: number
  object?: StoredObject
}

export class Refused extends Error {
  readonly status: number
  readonly reason: string
  constructor(status: number, reason: string, message: string) {
    super(message)
    this.status = status
    this.reason = reason
  }
}

const quantum = 256 * 1024
const rights = ["storage.objects.create", "storage.objects.get", "storage.objects.delete", "storage.objects.list", "storage.buckets.get"]

export const gcsStandIn = (dir: string, base: () => string) => {
  const buckets = new Map<string, { granted: ReadonlyArray<string> }>([["example-images", { granted: rights }]])
  const objects = new Map<string, StoredObject>()
  const sessions = new Map<string, Session>()
  let [made, bytes, spoil] = [0, 0, false]

  const keyOf = (bucket: string, name: string) => `${bucket}/${name}`
  const bucketOf = (name: string) => {
    const bucket = buckets.get(name)
    if (bucket === undefined) throw new Refused(404, "notFound", "The specified bucket does not exist.")
    return bucket
  }
  const allowed = (bucket: string, right: string) => {
    if (!bucketOf(bucket).granted.includes(right)) {
      throw new Refused(403, "forbidden", `kiln@example-project.iam.gserviceaccount.com does not have ${right} access to the Google Cloud Storage object.`)
    }
  }
  const objectOf = (bucket: string, name: string) => {
    allowed(bucket, "storage.objects.get")
    const object = objects.get(keyOf(bucket, name))
    if (object === undefined) throw new Refused(404, "notFound", `No such object: ${keyOf(bucket, name)}`)
    return object
  }
  const shown = ({ bucket, contentType, crc32c: sum, generation, metadata, name, size, timeCreated }: StoredObject) => ({
    kind: "storage#object", id: `${bucket}/${name}/${generation}`, storageClass: "STANDARD", metageneration: "1",
    bucket, contentType, crc32c: sum, generation, metadata, name, timeCreated, size: String(size)
  })
  const isNew = (bucket: string, name: string) => {
    if (objects.has(keyOf(bucket, name))) throw new Refused(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
  }

  const begin = (url: URL, text: string): Answer => {
    const [, bucket] = /^\/upload\/storage\/v1\/b\/([^/]+)\/o$/.exec(url.pathname) ?? []
    if (bucket === undefined) throw new Refused(404, "notFound", "Not Found")
    allowed(bucket, "storage.objects.create")
    knows(url, "name", "uploadType", "ifGenerationMatch")
    const name = url.searchParams.get("name") ?? ""
    if (url.searchParams.get("uploadType") !== "resumable") throw new Refused(400, "invalid", "uploadType must be resumable")
    if (name === "" || Buffer.byteLength(name) > 1024 || /[\r\n]/.test(name)) throw new Refused(400, "invalid", "Invalid object name")
    const onlyNew = url.searchParams.get("ifGenerationMatch") === "0"
    if (onlyNew) isNew(bucket, name)
    const resource = (text === "" ? {} : JSON.parse(text)) as Session["resource"]
    const id = crypto.randomUUID()
    const file = join(dir, `object-${++made}`)
    closeSync(openSync(file, "w"))
    sessions.set(id, { bucket, name, onlyNew, resource, file, received: 0, crc: 0 })
    return { status: 200, headers: { location: `${base()}${url.pathname}?uploadType=resumable&name=${encodeURIComponent(name)}&upload_id=${id}` } }
  }

  const finish = (session: Session): Answer => {
    const { bucket, file, name, onlyNew, received, resource } = session
    if (onlyNew) isNew(bucket, name)
    const crc = base64OfCrc(spoil ? (session.crc ^ 1) >>> 0 : session.crc)
    if (resource.crc32c !== undefined && resource.crc32c !== crc) throw new Refused(400, "invalid", `Provided CRC32C "${resource.crc32c}" doesn't match calculated CRC32C "${crc}".`)
    session.object = {
      bucket, name, file, size: received, crc32c: crc, generation: String(Date.now() * 1000 + ++made), metadata: resource.metadata ?? {},
      contentType: resource.contentType ?? "application/octet-stream", timeCreated: new Date().toISOString()
    }
    objects.set(keyOf(bucket, name), session.object)
    return { status: 200, body: shown(session.object) }
  }
  const unfinished = ({ received }: Session): Answer => ({ status: 308, headers: received === 0 ? {} : { range: `bytes=0-${received - 1}` } })

  const send = (url: URL, range: string | undefined, body: Buffer): Answer => {
    const session = sessions.get(url.searchParams.get("upload_id") ?? "")
    if (session === undefined) throw new Refused(404, "notFound", "Upload session not found")
    if (session.object !== undefined) return { status: 200, body: shown(session.object) }
    if (/^bytes \*\/(\*|\d+)$/.test(range ?? "") && body.length === 0) {
      return range === `bytes */${session.received}` ? finish(session) : unfinished(session)
    }
    const [, from, to, total] = /^bytes (\d+)-(\d+)\/(\*|\d+)$/.exec(range ?? "") ?? []
    if (from === undefined || Number(to) - Number(from) + 1 !== body.length) throw new Refused(400, "invalid", `Failed to parse Content-Range header: ${range}`)
    if (Number(from) !== session.received) throw new Refused(400, "invalid", `Invalid request. The number of bytes received is ${session.received}, and the range begins at ${from}.`)
    const ends = total !== "*" && Number(to) + 1 === Number(total)
    if (!ends && body.length % quantum !== 0) throw new Refused(400, "invalid", "Invalid request. There were bytes beyond a multiple of 262144 in a chunk that is not the last.")
    const fd = openSync(session.file, "r+")
    writeSync(fd, body, 0, body.length, session.received)
    closeSync(fd)
    bytes += body.length
    session.crc = crc32c(body, session.crc)
    session.received += body.length
    return ends ? finish(session) : unfinished(session)
  }

  const manage = (method: string, url: URL): Answer => {
    const [, bucket = "", rest = ""] = /^\/storage\/v1\/b\/([^/]+)(\/.*)?$/.exec(url.pathname) ?? []
    const call = `${method} ${rest}`
    if (call === "GET ") {
      allowed(bucket, "storage.buckets.get")
      return { status: 200, body: { kind: "storage#bucket", id: bucket, name: bucket, location: "EU" } }
    }
    if (call === "GET /iam/testPermissions") {
      const asked = url.searchParams.getAll("permissions")
      return { status: 200, body: { kind: "storage#testIamPermissionsResponse", permissions: asked.filter((right) => bucketOf(bucket).granted.includes(right)) } }
    }
    if (call === "GET /o") {
      allowed(bucket, "storage.objects.list")
      knows(url, "prefix", "pageToken", "maxResults", "autoPaginate")
      const found = [...objects.values()].filter((object) => object.bucket === bucket && object.name.startsWith(url.searchParams.get("prefix") ?? ""))
      const from = Number(url.searchParams.get("pageToken") ?? 0)
      return { status: 200, body: { kind: "storage#objects", items: found.slice(from, from + 2).map(shown), ...(found.length > from + 2 && { nextPageToken: String(from + 2) }) } }
    }
    const [, name] = /^\/o\/([^/]+)$/.exec(rest) ?? []
    if (name === undefined) throw new Refused(404, "notFound", `no ${method} ${url.pathname}`)
    const object = objectOf(bucket, decodeURIComponent(name))
    if (method === "GET") return { status: 200, body: shown(object) }
    if (method !== "DELETE") throw new Refused(405, "methodNotAllowed", "Method not allowed")
    allowed(bucket, "storage.objects.delete")
    const generation = url.searchParams.get("ifGenerationMatch")
    if (generation !== null && generation !== object.generation) throw new Refused(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
    objects.delete(keyOf(bucket, object.name))
    rmSync(object.file)
    return { status: 204 }
  }

  return {
    buckets, objects, sessions,
    /** Of objects, in all. */
    bytesReceived: () => bytes,
    /** What is stored next is said to have another checksum. */
    spoilChecksums: (on: boolean) => void (spoil = on),
    forgetSessions: () => sessions.clear(),
    object: (bucket: string, name: string) => objects.get(keyOf(bucket, name)),
    /** Bytes of chunks are taken without a token: who knows the session's address may. */
    isCapability: (request: IncomingMessage, url: URL) => request.method === "PUT" && url.pathname.startsWith("/upload/storage/"),
    answer: (request: IncomingMessage, url: URL, body: Buffer): Answer =>
      url.pathname.startsWith("/upload/storage/")
        ? request.method === "PUT" ? send(url, request.headers["content-range"], body) : begin(url, body.toString())
        : manage(request.method!, url)
  }
}
export type GcsStandIn = ReturnType<typeof gcsStandIn>

export const contentOf = (object: StoredObject) => readFileSync(object.file)

const knows = (url: URL, ...names: ReadonlyArray<string>) => {
  const unknown = [...url.searchParams.keys()].find((name) => !names.includes(name) && name !== "prettyPrint" && name !== "alt")
  if (unknown !== undefined) throw new Refused(400, "invalidParameter", `Invalid query parameter: ${unknown}`)
}
