/**
 * What tells a machine of Azure's its tokens, in both of its forms: the metadata service of virtual machines, and the
 * endpoint of app services. It refuses what does not come from a program of the machine that means it: without its header,
 * by way of a proxy, or for an identity that the machine has not.
 */
import { Effect } from "effect"
import type { IncomingMessage } from "node:http"
import { newToken, type Service } from "./azure-authority.ts"
import { type Answer, listen } from "./stand-in.ts"

const refused = (status: number, error: string, error_description: string): Answer => ({ status, body: { error, error_description } })

const versions: Readonly<Record<string, string>> = { "/metadata/identity/oauth2/token": "2018-02-01", "/msi/token": "2019-08-01" }

export const azureImds = Effect.gen(function*() {
  let tokens = new Map<string, Service>()
  const asked: Array<string> = []
  /** Those that the machine has beside its own. */
  const identities = new Set<string>()
  const header = crypto.randomUUID()
  const faults: Array<Answer | "hang up"> = []

  const answer = ({ headers, method, socket, url = "" }: IncomingMessage): Answer => {
    const { pathname, searchParams } = new URL(url, "http://machine")
    const path = pathname.replace(/\/$/, "")
    asked.push(`${method} ${path} ${searchParams.get("client_id") ?? ""}`.trim())
    const version = versions[path]
    if (method !== "GET" || version === undefined) return refused(404, "not_found", "There is nothing at this path.")
    if (headers["x-forwarded-for"] !== undefined || headers.via !== undefined) return refused(400, "bad_request", "Requests by way of a proxy are refused.")
    const meant = path.startsWith("/metadata") ? headers["metadata"] === "true" : headers["x-identity-header"] === header
    if (!meant) return refused(400, "bad_request_102", "Required metadata header not specified")
    if (searchParams.get("api-version") !== version) return refused(400, "bad_request", `Bad request. api-version was ${searchParams.get("api-version")}`)
    const fault = faults.shift()
    if (fault === "hang up") {
      socket.destroy()
      return { status: 503 }
    }
    if (fault !== undefined) return fault
    const [, of] = /^https:\/\/(management|storage)\.azure\.com\/?$/.exec(searchParams.get("resource") ?? "") ?? []
    if (of === undefined) return refused(400, "invalid_resource", "AADSTS500011: The resource principal was not found in the tenant.")
    const identity = searchParams.get("client_id")
    if (identity !== null && !identities.has(identity)) return refused(400, "invalid_request", "Identity not found")
    const until = String(Math.floor(Date.now() / 1000) + 86_399)
    return {
      status: 200,
      body: { access_token: newToken(tokens, of as Service), expires_in: "86399", expires_on: until, resource: searchParams.get("resource")!, token_type: "Bearer" }
    }
  }

  const port = yield* listen((request) => answer(request))
  return {
    base: `http://127.0.0.1:${port}`, asked, header, identities,
    /** Its tokens are those from now on. */
    serve: (of: Map<string, Service>) => {
      tokens = of
      asked.length = faults.length = 0
    },
    /** The next question that is put as it should be fails with this. */
    failWith: (status: number, error: string, description: string) => void faults.push(refused(status, error, description)),
    hangUp: () => void faults.push("hang up")
  }
})
