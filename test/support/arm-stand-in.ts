/**
 * Stands in for Azure's resource manager as far as images are made: managed images, and galleries with their definitions
 * and versions. What is put is an operation that ends when it has been looked at twice, and reads the blob then: it wants a
 * page blob of whole MiB and a footer of 512 bytes that is right, and keeps the disk for tests to look at. It refuses
 * unknown fields, names that may not be, changes of what cannot be changed, and removal of what has children.
 */
import { closeSync, linkSync, openSync, readSync, rmSync } from "node:fs"
import { join } from "node:path"
import type { PageBlobStandIn, StoredBlob } from "./page-blob-stand-in.ts"
import { Refused } from "./azure-authority.ts"
import type { Answer } from "./stand-in.ts"

export interface Resource {
  readonly id: string
  readonly kind: "images" | "galleries" | "definitions" | "versions"
  readonly body: any
  state: "Creating" | "Succeeded" | "Failed" | "Deleting"
  /** The fixed VHD as it lay in the blob. */
  disk?: string
}

interface Operation {
  looks: number
  status: "InProgress" | "Succeeded" | "Failed"
  error?: { readonly code: string; readonly message: string }
  readonly end: () => { readonly code: string; readonly message: string } | undefined
}

const MiB = 2 ** 20
export const place = { subscription: "5b1d4f1e-0000-4000-8000-000000000003", resource_group: "images", location: "westeurope" }
const root = `/subscriptions/${place.subscription}/resourceGroups/${place.resource_group}/providers/Microsoft.Compute`
const fields: Readonly<Record<Resource["kind"], ReadonlyArray<string>>> = {
  images: ["hyperVGeneration", "storageProfile", "sourceVirtualMachine"],
  galleries: ["description", "identifier"],
  definitions: ["osType", "osState", "hyperVGeneration", "architecture", "identifier", "features", "description"],
  versions: ["publishingProfile", "storageProfile", "safetyProfile"]
}

export const armStandIn = (dir: string, base: () => string, blobs: PageBlobStandIn, storageAccount: string) => {
  const resources = new Map<string, Resource>()
  const operations = new Map<string, Operation>()
  const failures: Array<{ readonly code: string; readonly message: string }> = []
  let [made, lingering, puts] = [0, 0, 0]

  const kindOf = (path: string): Resource["kind"] | undefined =>
    /^\/images\/[A-Za-z0-9][A-Za-z0-9._-]{0,79}$/.test(path) ? "images"
      : /^\/galleries\/[A-Za-z0-9._]{1,80}$/.test(path) ? "galleries"
      : /^\/galleries\/[^/]+\/images\/[A-Za-z0-9._-]{1,80}$/.test(path) ? "definitions"
      : /^\/galleries\/[^/]+\/images\/[^/]+\/versions\/\d{1,10}\.\d{1,10}\.\d{1,10}$/.test(path) ? "versions" : undefined
  const parentOf = (id: string) => id.split("/").slice(0, -2).join("/")
  const children = (id: string) => [...resources.values()].filter((other) => parentOf(other.id) === id)
  const shown = ({ body, id, kind, state }: Resource) => ({
    id, name: id.split("/").at(-1), type: `Microsoft.Compute/${kind}`, location: body.location, ...(body.tags && { tags: body.tags }),
    properties: {
      ...body.properties, provisioningState: state,
      ...(kind === "versions" && { publishingProfile: { ...body.properties.publishingProfile, publishedDate: "2026-11-21T08:00:00Z" } })
    }
  })
  const later = (status: number, end: Operation["end"], body?: object): Answer => {
    const name = `op-${++made}`
    operations.set(name, { looks: 0, status: "InProgress", end })
    const at = `${base()}/subscriptions/${place.subscription}/providers/Microsoft.Compute/locations/${place.location}/operations/${name}?api-version=2026-04-01`
    return { status, ...(body !== undefined && { body }), headers: { "azure-asyncoperation": at, location: `${at}&monitor=true`, "retry-after": "0" } }
  }

  const put = (path: string, kind: Resource["kind"], body: any): Answer => {
    const id = root + path
    check(kind, id, body)
    const before = resources.get(id)
    if (before?.state === "Deleting") throw new Refused(409, "Conflict", "The resource is being deleted.")
    if (before !== undefined && kind === "definitions" && JSON.stringify(before.body.properties) !== JSON.stringify(body.properties)) {
      throw new Refused(409, "PropertyChangeNotAllowed", "Changing property 'galleryImage.properties' is not allowed.")
    }
    if (before?.state === "Succeeded") return { status: 200, body: shown(before) }
    if (before === undefined) puts += kind === "images" || kind === "versions" ? 1 : 0
    const resource: Resource = before ?? { id, kind, body, state: "Creating" }
    resource.state = "Creating"
    resources.set(id, resource)
    return later(201, () => {
      const failure = failures.shift() ?? imported(resource)
      resource.state = failure === undefined ? "Succeeded" : "Failed"
      return failure
    }, shown(resource))
  }

  const check = (kind: Resource["kind"], id: string, body: any) => {
    if (body?.location === undefined) throw new Refused(400, "LocationRequired", "The location property is required for this definition.")
    const { properties = {} } = body
    const strange = Object.keys(properties).find((key) => !fields[kind].includes(key)) ?? Object.keys(body).find((key) => !["location", "tags", "properties"].includes(key))
    if (strange !== undefined) throw new Refused(400, "InvalidRequestContent", `Could not find member '${strange}' on object`)
    for (const [name, value] of Object.entries((body.tags ?? {}) as Record<string, string>)) {
      if (name.length > 512 || /[<>%&\\?/]/.test(name) || String(value).length > 256) throw new Refused(400, "InvalidTagNameCharacters", `The tag ${name} is invalid.`)
    }
    if (properties.hyperVGeneration !== undefined && !["V1", "V2"].includes(properties.hyperVGeneration)) throw new Refused(400, "InvalidParameter", "hyperVGeneration")
    if ((kind === "definitions" || kind === "versions") && resources.get(parentOf(id)) === undefined) {
      throw new Refused(404, "ParentResourceNotFound", `Failed to perform 'write' on resource(s) because the parent resource '${parentOf(id)}' could not be found.`)
    }
    if (kind === "definitions") {
      const { architecture, identifier, osState, osType } = properties
      if (osType !== "Linux" || osState !== "Generalized" || !identifier?.publisher || !identifier.offer || !identifier.sku) throw new Refused(400, "InvalidParameter", "Required parameter is missing (null).")
      if (architecture === "Arm64" && properties.hyperVGeneration !== "V2") throw new Refused(400, "InvalidParameter", "Arm64 images must be of generation V2.")
      const twin = children(parentOf(id)).find((other) => other.id !== id && JSON.stringify(other.body.properties.identifier) === JSON.stringify(identifier))
      if (twin !== undefined) throw new Refused(409, "Conflict", "An image definition with the same identifier exists in the gallery.")
    }
    if (kind === "images" || kind === "versions") sourceOf(kind, body)
    if (kind === "versions") {
      const regions = (properties.publishingProfile?.targetRegions ?? []) as ReadonlyArray<{ readonly name: string }>
      if (!regions.some(({ name }) => name === body.location)) throw new Refused(400, "InvalidParameter", "The home region has to be one of the target regions.")
    }
  }

  const sourceOf = (kind: Resource["kind"], { properties }: any): StoredBlob | undefined => {
    const { osDisk, osDiskImage } = properties.storageProfile ?? {}
    const uri = kind === "images" ? osDisk?.blobUri : osDiskImage?.source?.uri
    if (uri === undefined || (kind === "images" && (osDisk.osType !== "Linux" || osDisk.osState !== "Generalized"))) {
      throw new Refused(400, "InvalidParameter", "Required parameter 'storageProfile' is missing (null).")
    }
    const accountId = `/subscriptions/${place.subscription}/resourceGroups/${place.resource_group}/providers/Microsoft.Storage/storageAccounts/${storageAccount}`
    if (kind === "versions" && osDiskImage.source.storageAccountId !== accountId) throw new Refused(400, "InvalidParameter", "storageAccountId has to be given with a uri.")
    if (!uri.endsWith(".vhd") || uri.includes("?")) throw new Refused(400, "InvalidParameter", `The value ${uri} of blobUri is not the address of a VHD.`)
    return blobs.blob(uri)
  }

  const imported = (resource: Resource) => {
    if (resource.kind === "galleries" || resource.kind === "definitions") return undefined
    const blob = sourceOf(resource.kind, resource.body)
    if (blob === undefined) return { code: "BlobNotFound", message: "The specified blob does not exist." }
    const wrong = wrongIn(blob)
    if (wrong !== undefined) return { code: "InvalidVhd", message: wrong }
    resource.disk = join(dir, `disk-${++made}.vhd`)
    // Stays when the blob goes.
    linkSync(blob.file, resource.disk)
    return undefined
  }

  const remove = (path: string): Answer => {
    const resource = resources.get(root + path)
    if (resource === undefined) return { status: 204 }
    if (lingering > 0 || children(resource.id).length > 0) {
      lingering--
      throw new Refused(409, "CannotDeleteResource", "Can not delete resource before nested resources are deleted.")
    }
    resource.state = "Deleting"
    return later(202, () => {
      resources.delete(resource.id)
      if (resource.disk !== undefined) rmSync(resource.disk)
      return undefined
    })
  }

  const answer = (method: string, url: URL, text: string): Answer => {
    if (!/^20\d\d-\d\d-\d\d$/.test(url.searchParams.get("api-version") ?? "")) throw new Refused(400, "MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required for all requests.")
    const [, operation] = /\/locations\/[^/]+\/operations\/([^/]+)$/.exec(url.pathname) ?? []
    if (operation !== undefined) return look(operations.get(operation))
    if (!url.pathname.startsWith(`${root}/`)) throw new Refused(404, "ResourceGroupNotFound", `Resource group '${url.pathname.split("/")[4]}' could not be found.`)
    const path = url.pathname.slice(root.length)
    if (method === "GET" && /\/(images|versions)$/.test(path)) return list(path, url)
    const kind = kindOf(path)
    if (kind === undefined) throw new Refused(400, "InvalidResourceName", `The resource name of ${path} is invalid.`)
    if (method === "PUT") return put(path, kind, JSON.parse(text))
    if (method === "DELETE") return remove(path)
    const resource = resources.get(root + path)
    if (method !== "GET" || resource === undefined) throw new Refused(404, "ResourceNotFound", `The Resource 'Microsoft.Compute${path}' under resource group '${place.resource_group}' was not found.`)
    // Time passes by looks.
    for (const each of operations.values()) if (resource.state === "Creating") look(each)
    return { status: 200, body: shown(resource) }
  }

  const look = (operation: Operation | undefined): Answer => {
    if (operation === undefined) throw new Refused(404, "NotFound", "The operation was not found.")
    if (operation.status === "InProgress" && ++operation.looks === 2) {
      const error = operation.end()
      operation.status = error === undefined ? "Succeeded" : "Failed"
      if (error !== undefined) operation.error = error
    }
    return { status: 200, body: { status: operation.status, ...(operation.error && { error: operation.error }) } }
  }

  const list = (path: string, url: URL): Answer => {
    const found = [...resources.values()].filter(({ id, kind }) => id.startsWith(`${root}${path}/`) && (path === "/images" ? kind === "images" : kind === "versions"))
    const from = Number(url.searchParams.get("$skiptoken") ?? 0)
    const next = `${base()}${url.pathname}?api-version=${url.searchParams.get("api-version")}&$skiptoken=${from + 2}`
    return { status: 200, body: { value: found.slice(from, from + 2).map(shown), ...(found.length > from + 2 && { nextLink: next }) } }
  }

  return {
    resources,
    ofKind: (kind: Resource["kind"]) => [...resources.values()].filter((resource) => resource.kind === kind),
    /** Images and versions that were begun. */
    puts: () => puts,
    addGallery: (name: string) => void resources.set(`${root}/galleries/${name}`, { id: `${root}/galleries/${name}`, kind: "galleries", body: { location: place.location, properties: {} }, state: "Succeeded" }),
    /** The next import ends with this. */
    failImportWith: (code: string, message: string) => void failures.push({ code, message }),
    /** So many removals meet children that are gone already. */
    linger: (times: number) => void (lingering = times),
    answer: (method: string, url: URL, text: string): Answer => {
      try {
        return answer(method, url, text)
      } catch (error) {
        if (!(error instanceof Refused)) throw error
        return { status: error.status, body: { error: { code: error.code, message: error.message } } }
      }
    }
  }
}

/** What Azure would say of a disk that is no fixed VHD of whole MiB. */
const wrongIn = ({ file, name, size }: StoredBlob): string | undefined => {
  if (size % MiB !== 512) return `The specified cookie or size of the blob ${name} is unsupported: the virtual size of ${size - 512} bytes must be a whole number (in MBs).`
  const footer = Buffer.alloc(512)
  const fd = openSync(file, "r")
  readSync(fd, footer, 0, 512, size - 512)
  closeSync(fd)
  if (footer.toString("latin1", 0, 8) !== "conectix") return "The specified cookie value in VHD footer indicates that the disk is corrupted."
  if (footer.readUInt32BE(60) !== 2) return "Only fixed VHDs are supported."
  if (footer.readBigUInt64BE(48) !== BigInt(size - 512)) return "The current size in the VHD footer is not that of the disk."
  const said = footer.readUInt32BE(64)
  footer.writeUInt32BE(0, 64)
  const sum = ~footer.reduce((total, byte) => total + byte, 0) >>> 0
  return said === sum ? undefined : "The checksum of the VHD footer is wrong."
}
