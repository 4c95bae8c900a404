/**
 * Stands in for Google: the token exchange of workload identity, and managed instance groups over REST, one of a zone
 * and one of a region. It refuses what has no token of its own, a path or a body that the API does not know, and what
 * the service is known to refuse. Machines start and end by `advance`.
 */
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { listen } from "./stand-in.ts"
import { temporaryFolder } from "./servers-mode.ts"

export interface Machine {
  readonly name: string
  readonly zone: string
  status: "PROVISIONING" | "RUNNING" | "STOPPING"
  action: "CREATING" | "NONE" | "DELETING"
}

export interface Group {
  targetSize: number
  machines: Array<Machine>
}

interface Refusal {
  readonly code: number
  readonly reason: string
  readonly message: string
}
class Refused {
  readonly refusal: Refusal
  constructor(code: number, reason: string, message: string) {
    this.refusal = { code, reason, message }
  }
}

const project = "example-project"
const places = { zonal: "zones/europe-west1-b", regional: "regions/europe-west1" }
const audience = "//iam.example/pools/kiln"
const subject = "subject-token-of-this-machine"

export const instanceGroupsStandIn = Effect.gen(function*() {
  const groups: Record<string, Group> = { [places.zonal]: { targetSize: 0, machines: [] }, [places.regional]: { targetSize: 0, machines: [] } }
  const asked: Array<{ readonly call: string; readonly body: unknown; readonly query: Readonly<Record<string, string>> }> = []
  const operationErrors: Array<{ readonly code: string; readonly message: string }> = []
  const tokens = new Set<string>()
  const dir = yield* temporaryFolder
  let made = 0

  const exchange = (body: URLSearchParams) => {
    const wanted = {
      grant_type: "urn:ietf:params:oauth:grant-type:token-exchange", audience, subject_token: subject,
      requested_token_type: "urn:ietf:params:oauth:token-type:access_token", subject_token_type: "urn:ietf:params:oauth:token-type:jwt"
    }
    const wrong = Object.entries(wanted).find(([name, value]) => body.get(name) !== value)
    if (wrong !== undefined) return { status: 400, body: { error: "invalid_grant", error_description: `${wrong[0]} is wrong` } }
    const token = `ya29.${crypto.randomUUID()}`
    tokens.add(token)
    return { status: 200, body: { access_token: token, issued_token_type: wanted.requested_token_type, token_type: "Bearer", expires_in: 3600 } }
  }

  const calls: Record<string, { readonly query: ReadonlyArray<string>; readonly body: ReadonlyArray<string>; act(group: Group, given: Record<string, any>, place: string): object }> = {
    "GET ": { query: [], body: [], act: ({ targetSize }) => ({ kind: "compute#instanceGroupManager", name: "builders", targetSize }) },
    "POST listManagedInstances": {
      query: ["filter", "maxResults", "orderBy", "pageToken", "returnPartialSuccess"], body: [],
      act: ({ machines }, { maxResults = 500, pageToken = 0 }) => {
        const [from, to] = [Number(pageToken), Number(pageToken) + Number(maxResults)]
        return {
          managedInstances: machines.slice(from, to).map(({ action, name, status, zone }) => ({
            instance: `https://www.googleapis.com/compute/v1/projects/${project}/zones/${zone}/instances/${name}`,
            id: "4711", name, instanceStatus: status, currentAction: action
          })),
          ...(machines.length > to && { nextPageToken: String(to) })
        }
      }
    },
    "POST resize": {
      query: ["size", "requestId"], body: [],
      act: (group, { size }) => {
        if (!/^\d+$/.test(size ?? "")) throw new Refused(400, "required", "Required field 'size' not specified")
        group.targetSize = Number(size)
        return operation("resize")
      }
    },
    "POST deleteInstances": {
      query: ["requestId"], body: ["instances", "skipInstancesOnValidationError"],
      act: (group, { instances, skipInstancesOnValidationError }, place) => {
        if (!Array.isArray(instances) || instances.length === 0) throw new Refused(400, "required", "Required field 'instances' not specified")
        for (const url of instances as ReadonlyArray<string>) {
          const [, zone, name] = /^(?:https:\/\/www\.googleapis\.com\/compute\/v1\/)?(?:projects\/[^/]+\/)?zones\/([^/]+)\/instances\/([^/]+)$/.exec(url) ?? []
          if (name === undefined) throw new Refused(400, "invalid", `Invalid value for field 'instances[0]': '${url}'. The URL is malformed.`)
          const machine = group.machines.find((other) => other.name === name && other.zone === zone && other.action !== "DELETING")
          if (machine === undefined && skipInstancesOnValidationError === true) continue
          if (machine === undefined) throw new Refused(400, "invalid", `The instance '${url}' is not a member of the managed instance group in ${place}.`)
          Object.assign(machine, { action: "DELETING", status: "STOPPING" })
          group.targetSize -= 1
        }
        return operation("deleteInstances")
      }
    }
  }

  const operation = (operationType: string) => {
    const error = operationErrors.shift()
    return {
      kind: "compute#operation", id: "815", name: `operation-${++made}`, operationType, status: error === undefined ? "RUNNING" : "DONE",
      ...(error !== undefined && { error: { errors: [error] }, httpErrorStatusCode: 403, httpErrorMessage: "FORBIDDEN" })
    }
  }

  const path = new RegExp(`^/compute/v1/projects/${project}/(zones/[^/]+|regions/[^/]+)/instanceGroupManagers/([^/?]+)(?:/(\\w+))?$`)
  const answer = (method: string, url: URL, authorization: string | undefined, text: string) => {
    const [, token] = /^Bearer (.+)$/.exec(authorization ?? "") ?? []
    if (token === undefined || !tokens.has(token)) throw new Refused(401, "authError", "Request had invalid authentication credentials.")
    const [, place = "", name, verb = ""] = path.exec(url.pathname) ?? []
    const call = calls[`${method} ${verb}`]
    if (call === undefined) throw new Refused(404, "notFound", `no ${method} ${url.pathname}`)
    const group = groups[place]
    if (group === undefined || name !== "builders") throw new Refused(404, "notFound", `The resource '${url.pathname.slice(12)}' was not found`)
    const query = Object.fromEntries([...url.searchParams].filter(([key]) => key !== "$alt"))
    const body = (text === "" ? {} : JSON.parse(text)) as Record<string, unknown>
    const unknown = [...Object.keys(query).filter((key) => !call.query.includes(key)), ...Object.keys(body).filter((key) => !call.body.includes(key))]
    if (unknown.length > 0) throw new Refused(400, "invalid", `Invalid JSON payload received. Unknown name "${unknown[0]}"`)
    const given = call.act(group, { ...query, ...body }, place)
    asked.push({ call: verb === "" ? "get" : verb, body, query })
    return given
  }

  const port = yield* listen((request, body) => {
    const url = new URL(request.url!, "http://stand-in")
    if (request.method === "POST" && url.pathname === "/token") return exchange(new URLSearchParams(body.toString()))
    try {
      return { status: 200, body: answer(request.method!, url, request.headers.authorization, body.toString()) }
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      const { code, message, reason } = error.refusal
      return { status: code, body: { error: { code, message, errors: [{ domain: "global", reason, message }] } } }
    }
  })

  /** What a machine with workload identity has: a file that says how it gets its token. */
  const credentials = (subjectToken = subject) => {
    const [file, tokenFile] = [join(dir, `credentials-${subjectToken}.json`), join(dir, `token-${subjectToken}`)]
    writeFileSync(tokenFile, subjectToken)
    writeFileSync(file, JSON.stringify({
      type: "external_account", audience, subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
      token_url: `http://127.0.0.1:${port}/token`, credential_source: { file: tokenFile }
    }))
    return file
  }

  return {
    asked, project, credentials,
    options: { apiEndpoint: "127.0.0.1", port, protocol: "http", projectId: project },
    zonal: groups[places.zonal]!,
    regional: groups[places.regional]!,
    /** The next operation has ended with this already. */
    failOperationWith: (code: string, message: string) => void operationErrors.push({ code, message }),
    /** What was ending is gone, what was starting is there, and what is missing starts. */
    advance: () => {
      for (const [place, group] of Object.entries(groups)) {
        group.machines = group.machines.filter(({ action }) => action !== "DELETING")
        for (const machine of group.machines) Object.assign(machine, { status: "RUNNING", action: "NONE" })
        for (let missing = group.targetSize - group.machines.length; missing > 0; missing--) {
          const zone = place === places.zonal ? "europe-west1-b" : `europe-west1-${"bcd"[made % 3]}`
          group.machines.push({ name: `builders-${(made++).toString(36).padStart(4, "x")}`, zone, status: "PROVISIONING", action: "CREATING" })
        }
      }
    }
  }
})
