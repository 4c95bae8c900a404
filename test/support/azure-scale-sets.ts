/**
 * Stands in for Azure over TLS: the token endpoint and Virtual Machine Scale Sets of the resource manager, as far as a
 * pool takes them. It refuses what has no token of its own, what the API does not know, and what the service is known to
 * refuse. Machines start and end by `advance`.
 */
import { Effect } from "effect"
import { azureAuthority } from "./azure-authority.ts"
import { certificate } from "./certificate.ts"
import { type Answer, listen } from "./stand-in.ts"

export interface Machine {
  readonly instanceId: string
  readonly name: string
  state: "Creating" | "Succeeded" | "Deleting"
  protected: boolean
}

export interface ScaleSet {
  mode: "Uniform" | "Flexible"
  capacity: number
  machines: Array<Machine>
}

interface Refusal {
  readonly status: number
  readonly code: string
  readonly message: string
}
class Refused {
  readonly refusal: Refusal
  constructor(status: number, code: string, message: string) {
    this.refusal = { status, code, message }
  }
}

export const place = { subscription: "5b1d4f1e-0000-4000-8000-000000000003", resourceGroup: "builds", scaleSet: "builders" }
const location = "westeurope"
const pageSize = 3

export const scaleSetsStandIn = Effect.gen(function*() {
  const tls = certificate()
  const set: ScaleSet = { mode: "Uniform", capacity: 0, machines: [] }
  const asked: Array<{ readonly call: string; readonly body: any }> = []
  const faults = new Map<string, Refused>()
  const tokens = new Map<string, "management" | "storage">()
  let [made, base] = [0, ""]

  const authority = azureAuthority(() => base, tokens)

  const root = `/subscriptions/${place.subscription}/resourceGroups/${place.resourceGroup}/providers/Microsoft.Compute/virtualMachineScaleSets/${place.scaleSet}`
  const shown = ({ instanceId, name, protected: on, state }: Machine) => ({
    id: `${root}/virtualMachines/${instanceId}`, name, instanceId, location, type: "Microsoft.Compute/virtualMachineScaleSets/virtualMachines",
    properties: { provisioningState: state, vmId: instanceId, ...(on && { protectionPolicy: { protectFromScaleIn: true } }) }
  })
  const sku = () => ({ name: "Standard_D4s_v5", tier: "Standard", capacity: set.capacity })
  const describe = () => ({ id: root, name: place.scaleSet, location, sku: sku(), properties: { orchestrationMode: set.mode, provisioningState: "Succeeded" } })
  const later = (body?: object): Answer => ({
    status: body === undefined ? 202 : 200, ...(body !== undefined && { body }),
    headers: {
      "azure-asyncoperation": `${base}/subscriptions/${place.subscription}/providers/Microsoft.Compute/locations/${location}/operations/${++made}?api-version=2026-04-01`,
      "retry-after": "1"
    }
  })
  const machineOf = (id: string) => {
    const machine = set.machines.find(({ instanceId }) => instanceId === id)
    if (machine === undefined) throw new Refused(400, "InvalidParameter", `The provided instanceId ${id} is not an active Virtual Machine Scale Set VM instanceId.`)
    return machine
  }
  const only = (body: object, ...known: ReadonlyArray<string>) => {
    const unknown = Object.keys(body).find((key) => !known.includes(key))
    if (unknown !== undefined) throw new Refused(400, "InvalidRequestContent", `Could not find member '${unknown}' on object`)
  }

  const act = (call: string, body: any, url: URL): Answer => {
    if (call === "GET ") return { status: 200, body: describe() }
    if (call === "GET /virtualMachines") {
      const from = Number(url.searchParams.get("$skiptoken") ?? 0)
      const next = `${base}${root}/virtualMachines?api-version=2026-04-01&$skiptoken=${from + pageSize}`
      return { status: 200, body: { value: set.machines.slice(from, from + pageSize).map(shown), ...(set.machines.length > from + pageSize && { nextLink: next }) } }
    }
    if (call === "PATCH ") {
      only(body, "sku", "tags", "properties", "identity", "plan", "zones")
      if (!Number.isInteger(body.sku?.capacity) || body.sku.name === undefined) throw new Refused(400, "InvalidParameter", "Required parameter 'sku' is missing (null).")
      if (body.sku.capacity > 1000) throw new Refused(400, "InvalidParameter", "The value of parameter sku.capacity is invalid.")
      set.capacity = body.sku.capacity
      return later(describe())
    }
    if (call === "POST /delete") {
      only(body, "instanceIds")
      if (!Array.isArray(body.instanceIds) || body.instanceIds.length === 0) throw new Refused(400, "InvalidParameter", "Required parameter 'instanceIds' is missing (null).")
      for (const id of body.instanceIds as ReadonlyArray<string>) machineOf(id)
      for (const id of body.instanceIds as ReadonlyArray<string>) {
        if (machineOf(id).state !== "Deleting") set.capacity -= 1
        machineOf(id).state = "Deleting"
      }
      return later()
    }
    const [, id] = /^PUT \/virtualMachines\/([^/]+)$/.exec(call) ?? []
    if (id === undefined) throw new Refused(404, "InvalidResourceType", `no ${call}`)
    const machine = machineOf(id)
    if (set.mode === "Flexible") throw new Refused(400, "OperationNotAllowed", "This operation is not allowed on a scale set with Flexible orchestration.")
    if (body.location !== location) throw new Refused(400, "LocationRequired", "The location property is required for this definition.")
    machine.protected = body.properties?.protectionPolicy?.protectFromScaleIn === true
    return later(shown(machine))
  }

  const manage = (method: string, url: URL, authorization: string | undefined, text: string): Answer => {
    const [, token] = /^Bearer (.+)$/.exec(authorization ?? "") ?? []
    if (token === undefined || tokens.get(token) !== "management") throw new Refused(401, "AuthenticationFailed", "Authentication failed.")
    if (!/^20\d\d-\d\d-\d\d$/.test(url.searchParams.get("api-version") ?? "")) throw new Refused(400, "MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required for all requests.")
    if (url.pathname !== root && !url.pathname.startsWith(`${root}/`)) {
      throw new Refused(404, "ResourceNotFound", `The Resource '${url.pathname.split("/providers/")[1]}' under resource group '${place.resourceGroup}' was not found.`)
    }
    const call = `${method} ${url.pathname.slice(root.length)}`
    const fault = faults.get(call)
    if (fault !== undefined && faults.delete(call)) throw fault
    const body = text === "" ? {} : JSON.parse(text) as unknown
    const answer = act(call, body, url)
    asked.push({ call, body })
    return answer
  }

  const port = yield* listen((request, body) => {
    const url = new URL(request.url!, "https://stand-in")
    if (!url.pathname.startsWith("/subscriptions/")) return authority(request.method!, url.pathname, body.toString())
    try {
      return manage(request.method!, url, request.headers.authorization, body.toString())
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      const { code, message, status } = error.refusal
      return { status, body: { error: { code, message } } }
    }
  }, tls)
  base = `https://127.0.0.1:${port}`

  return {
    base, ca: tls.cert, set,
    /** What changed something, oldest first. */
    changes: () => asked.filter(({ call }) => !call.startsWith("GET ")),
    /** The next such call fails with this: a method and the path below the set's. */
    failWith: (call: string, status: number, code: string, message: string) => void faults.set(call, new Refused(status, code, message)),
    /** What was ending is gone, what was starting is there, and what is missing starts. */
    advance: () => {
      set.machines = set.machines.filter(({ state }) => state !== "Deleting")
      for (const machine of set.machines) machine.state = "Succeeded"
      while (set.machines.length < set.capacity) {
        const name = set.mode === "Uniform" ? `builders_${made}` : `builders_${made.toString(16).padStart(8, "A")}`
        set.machines.push({ instanceId: set.mode === "Uniform" ? String(made) : name, name, state: "Creating", protected: false })
        made++
      }
    }
  }
})
