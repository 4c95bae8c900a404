/**
 * Stands in for Compute Engine's images, REST. An insert ends only when it has been looked at twice, and reads the
 * archive from the stand-in for Cloud Storage at that moment: it wants one member `disk.raw` of whole GiB in GNU's form,
 * and keeps the disk for tests to look at. It refuses names, labels and bodies that the API does not know, a request's id
 * with another body, policies with an old etag, and images beyond the quota.
 */
import { execFile } from "node:child_process"
import { closeSync, mkdirSync, openSync, readSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { createGunzip } from "node:zlib"
import { createReadStream } from "node:fs"
import { type GcsStandIn, Refused, type StoredObject } from "./gcs-stand-in.ts"
import type { Answer } from "./stand-in.ts"

const run = promisify(execFile)
const GiB = 2 ** 30

export interface StoredImage {
  readonly id: string
  readonly resource: Readonly<Record<string, any>>
  status: "PENDING" | "READY" | "FAILED"
  policy: { etag: string; bindings: ReadonlyArray<{ readonly role: string; readonly members: ReadonlyArray<string> }> }
  /** The disk as it was in the archive. */
  disk?: string
}

interface Operation {
  readonly name: string
  readonly id: string
  readonly operationType: string
  readonly target: string
  status: "RUNNING" | "DONE"
  waits: number
  error?: { readonly code: string; readonly message: string }
  end: () => Promise<void> | void
}

const known = ["name", "family", "description", "architecture", "storageLocations", "labels", "guestOsFeatures", "rawDisk"]
const features = ["UEFI_COMPATIBLE", "VIRTIO_SCSI_MULTIQUEUE", "GVNIC", "IDPF", "SEV_CAPABLE", "SEV_SNP_CAPABLE", "SEV_LIVE_MIGRATABLE_V2", "TDX_CAPABLE", "SUSPEND_RESUME_COMPATIBLE"]
const word = /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/
const name = "example-project"

export const gceStandIn = (dir: string, gcs: GcsStandIn) => {
  const images = new Map<string, StoredImage>()
  const operations = new Map<string, Operation>()
  const requests = new Map<string, { readonly call: string; readonly operation: Operation }>()
  const failures: Array<{ readonly code: string; readonly message: string }> = []
  let [made, quota, inserts] = [0, 1000, 0]

  const invalid = (message: string) => new Refused(400, "invalid", message)
  const shownOperation = ({ error, id, name: operation, operationType, status, target }: Operation) => ({
    kind: "compute#operation", id, name: operation, operationType, status, targetLink: target, progress: status === "DONE" ? 100 : 0,
    ...(error !== undefined && { error: { errors: [error] }, httpErrorStatusCode: 400, httpErrorMessage: "BAD REQUEST" })
  })
  const begin = (operationType: string, target: string, end: Operation["end"]): Operation => {
    const operation: Operation = { name: `operation-${++made}`, id: String(4711 + made), operationType, target, status: "RUNNING", waits: 0, end }
    operations.set(operation.name, operation)
    return operation
  }
  const once = (url: URL, call: string, act: () => Operation): Operation => {
    const id = url.searchParams.get("requestId")
    if (id === null) return act()
    if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id) || /^[0-]*$/.test(id)) throw invalid("Invalid value for field 'requestId'. Must be a valid UUID.")
    const before = requests.get(id)
    if (before !== undefined && before.call !== call) throw invalid("The request id has been used before with another request.")
    const operation = before?.operation ?? act()
    requests.set(id, { call, operation })
    return operation
  }

  const shownImage = ({ disk, id, resource, status }: StoredImage) => ({
    kind: "compute#image", id, ...resource, rawDisk: { containerType: "TAR", source: "" }, status, labelFingerprint: "42",
    selfLink: `https://www.googleapis.com/compute/v1/projects/${name}/global/images/${resource["name"]}`,
    creationTimestamp: "2026-11-21T08:00:00.000-08:00", sourceType: "RAW", archiveSizeBytes: "1",
    ...(disk !== undefined && { diskSizeGb: String(statSync(disk).size / GiB) })
  })
  const imageOf = (image: string) => {
    const found = images.get(image)
    if (found === undefined) throw new Refused(404, "notFound", `The resource 'projects/${name}/global/images/${image}' was not found`)
    return found
  }

  const check = (resource: Record<string, any>) => {
    const strange = Object.keys(resource).find((key) => !known.includes(key))
    if (strange !== undefined) throw invalid(`Invalid JSON payload received. Unknown name "${strange}" at 'image': Cannot find field.`)
    if (!word.test(resource["name"] ?? "")) throw invalid(`Invalid value for field 'resource.name': '${resource["name"]}'. Must be a match of regex '(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)'`)
    if (resource["family"] !== undefined && !word.test(resource["family"])) throw invalid(`Invalid value for field 'resource.family': '${resource["family"]}'.`)
    if (resource["architecture"] !== undefined && !["X86_64", "ARM64"].includes(resource["architecture"])) throw invalid("Invalid value for field 'resource.architecture'.")
    for (const [key, value] of Object.entries((resource["labels"] ?? {}) as Record<string, string>)) {
      if (!/^[a-z][a-z0-9_-]{0,62}$/.test(key) || !/^[a-z0-9_-]{0,63}$/.test(value)) throw invalid(`Invalid value for field 'resource.labels': '${key}:${value}'.`)
    }
    for (const { type } of (resource["guestOsFeatures"] ?? []) as ReadonlyArray<{ readonly type: string }>) {
      if (!features.includes(type)) throw invalid(`Invalid value for field 'resource.guestOsFeatures[0].type': '${type}'.`)
    }
    const { containerType, source } = (resource["rawDisk"] ?? {}) as { readonly containerType?: string; readonly source?: string }
    const [, bucket, object] = /^https:\/\/storage\.googleapis\.com\/([^/]+)\/(.+)$/.exec(source ?? "") ?? []
    if (containerType !== "TAR" || bucket === undefined) throw invalid(`Invalid value for field 'resource.rawDisk.source': '${source}'. The URL is malformed.`)
    if (gcs.object(bucket, object!) === undefined) throw new Refused(404, "notFound", `The resource '${source}' was not found`)
    return { bucket, object: object! }
  }

  const insert = (url: URL, text: string): Operation => {
    const resource = JSON.parse(text) as Record<string, any>
    const { bucket, object } = check(resource)
    return once(url, `insert ${text}`, () => {
      const named = resource["name"] as string
      if (images.has(named)) throw new Refused(409, "alreadyExists", `The resource 'projects/${name}/global/images/${named}' already exists`)
      if (images.size >= quota) throw new Refused(403, "quotaExceeded", `Quota 'IMAGES' exceeded.  Limit: ${quota}.0 globally.`)
      const image: StoredImage = { id: String(++made), resource, status: "PENDING", policy: { etag: `etag-${++made}`, bindings: [] } }
      images.set(named, image)
      inserts++
      const operation = begin("insert", named, async () => {
        const failure = failures.shift() ?? (await imported(image, gcs.object(bucket, object)))
        if (failure === undefined) return void (image.status = "READY")
        operation.error = failure
        images.delete(named)
      })
      return operation
    })
  }

  /** What is wrong with the archive, or nothing: then the image has its disk. */
  const imported = async (image: StoredImage, object: StoredObject | undefined) => {
    const wrong = (message: string) => ({ code: "INVALID_ARCHIVE", message })
    if (object === undefined) return wrong("The source object is gone.")
    const header = await head(object.file).catch(() => undefined)
    if (header === undefined) return wrong("The archive is not compressed by gzip.")
    if (header.subarray(257, 265).toString("latin1") !== "ustar  \0" || !"S0".includes(String.fromCharCode(header[156]!))) return wrong("The tar archive is not of the GNU format.")
    const into = join(dir, `image-${image.id}`)
    mkdirSync(into)
    const names = await run("tar", ["-tzf", object.file]).then(({ stdout }) => stdout.trim(), () => "")
    if (names !== "disk.raw") return wrong("The tar archive must have exactly one member, disk.raw.")
    await run("tar", ["-xzf", object.file, "-C", into])
    const { size } = statSync(join(into, "disk.raw"))
    if (size === 0 || size % GiB !== 0) return wrong("The size of the disk image must be a multiple of 1 GiB.")
    image.disk = join(into, "disk.raw")
    return undefined
  }

  const withPolicy = (image: StoredImage, text: string): Answer => {
    const { policy } = JSON.parse(text) as { readonly policy: StoredImage["policy"] }
    if (policy.etag !== undefined && policy.etag !== image.policy.etag) throw new Refused(412, "conditionNotMet", "The policy was changed by somebody else.")
    for (const { members } of policy.bindings) {
      const strange = members.find((member) => !/^(user|serviceAccount|group|domain):.+/.test(member) || member.includes("nobody"))
      if (strange !== undefined) throw invalid(`Invalid value for field 'policy.bindings': ${strange} does not exist.`)
    }
    image.policy = { bindings: policy.bindings, etag: `etag-${++made}` }
    return { status: 200, body: image.policy }
  }

  const answer = async (method: string, url: URL, body: Buffer): Promise<Answer> => {
    const [, project, rest = ""] = /^\/compute\/v1\/projects\/([^/]+)(\/.*)?$/.exec(url.pathname) ?? []
    if (project !== name) throw new Refused(404, "notFound", `The resource 'projects/${project}' was not found`)
    if (method === "GET" && rest === "") return { status: 200, body: { kind: "compute#project", name, quotas: [{ metric: "IMAGES", limit: quota, usage: images.size }] } }
    if (method === "GET" && rest === "/global/images") return list(url)
    if (method === "POST" && rest === "/global/images") return { status: 200, body: shownOperation(insert(url, body.toString())) }
    const [, waited] = /^\/global\/operations\/([^/]+)\/wait$/.exec(rest) ?? []
    if (method === "POST" && waited !== undefined) return wait(waited)
    const [, image, verb = ""] = /^\/global\/images\/([^/]+)(?:\/(\w+))?$/.exec(rest) ?? []
    if (image === undefined) throw new Refused(404, "notFound", `no ${method} ${url.pathname}`)
    for (const operation of operations.values()) if (operation.target === image && verb === "") await looked(operation)
    const found = imageOf(image)
    if (method === "GET" && verb === "") return { status: 200, body: shownImage(found) }
    if (method === "GET" && verb === "getIamPolicy") return { status: 200, body: { version: 3, ...found.policy } }
    if (method === "POST" && verb === "setIamPolicy") return withPolicy(found, body.toString())
    if (method !== "DELETE") throw new Refused(404, "notFound", `no ${method} ${url.pathname}`)
    return { status: 200, body: shownOperation(once(url, `delete ${image}`, () => begin("delete", image, () => {
      images.delete(image)
      if (found.disk !== undefined) rmSync(found.disk)
    }))) }
  }

  /** Time passes by looks. */
  const looked = async (operation: Operation) => {
    if (++operation.waits !== 2) return
    await operation.end()
    operation.status = "DONE"
  }
  const wait = async (asked: string): Promise<Answer> => {
    const operation = operations.get(asked)
    if (operation === undefined) throw new Refused(404, "notFound", `The resource 'operations/${asked}' was not found`)
    await looked(operation)
    return { status: 200, body: shownOperation(operation) }
  }

  const list = (url: URL): Answer => {
    const [, label, value] = /^labels\.([a-z0-9_-]+)\s*=\s*"?([a-z0-9_-]+)"?$/.exec(url.searchParams.get("filter") ?? "") ?? []
    if (url.searchParams.get("filter") !== null && label === undefined) throw invalid("Invalid value for field 'filter'.")
    const found = [...images.values()].filter(({ resource }) => label === undefined || resource["labels"]?.[label] === value)
    const from = Number(url.searchParams.get("pageToken") ?? 0)
    return { status: 200, body: { kind: "compute#imageList", items: found.slice(from, from + 2).map(shownImage), ...(found.length > from + 2 && { nextPageToken: String(from + 2) }) } }
  }

  return {
    images, operations, answer,
    inserts: () => inserts,
    setQuota: (value: number) => void (quota = value),
    /** The next import ends with this. */
    failImportWith: (code: string, message: string) => void failures.push({ code, message })
  }
}

/** The first header of a compressed archive. */
const head = (file: string) => new Promise<Buffer>((resolve, reject) => {
  const fd = openSync(file, "r")
  const magic = Buffer.alloc(2)
  readSync(fd, magic, 0, 2, 0)
  closeSync(fd)
  if (magic.readUInt16BE(0) !== 0x1f8b) return reject(new Error("no gzip"))
  const source = createReadStream(file)
  const unpacked = source.pipe(createGunzip())
  unpacked.once("error", reject).once("data", (chunk: Buffer) => {
    source.destroy()
    unpacked.destroy()
    resolve(chunk.subarray(0, 512))
  })
})
