/** What all stand-ins for Azure have in common: a client of a tenant, its tokens, and how no is said. */
import type { Answer } from "./stand-in.ts"

export const tenant = "5b1d4f1e-0000-4000-8000-000000000001"
export const client = { id: "5b1d4f1e-0000-4000-8000-000000000002", secret: "an example's secret" }

export class Refused extends Error {
  readonly status: number
  readonly code: string
  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** The token endpoint at `base`; `tokens` is what it has given out, and what each is for. */
export const azureAuthority = (base: () => string, tokens: Map<string, "management" | "storage">) =>
  (method: string, path: string, body: string): Answer => {
    const root = `${base()}/${tenant}`
    if (method === "GET" && path === `/${tenant}/v2.0/.well-known/openid-configuration`) {
      return { status: 200, body: { token_endpoint: `${root}/oauth2/v2.0/token`, authorization_endpoint: `${root}/oauth2/v2.0/authorize`, issuer: `${root}/v2.0`, jwks_uri: `${root}/keys` } }
    }
    const given = new URLSearchParams(body)
    if (method !== "POST" || path !== `/${tenant}/oauth2/v2.0/token`) return { status: 404, body: { error: "not_found" } }
    if (given.get("client_id") !== client.id || given.get("client_secret") !== client.secret || given.get("grant_type") !== "client_credentials") {
      return { status: 401, body: { error: "invalid_client", error_description: "AADSTS7000215: Invalid client secret provided." } }
    }
    const [, of] = /https:\/\/(management|storage)\.azure\.com\/\/?\.default/.exec(given.get("scope") ?? "") ?? []
    if (of === undefined) return { status: 400, body: { error: "invalid_scope", error_description: "AADSTS70011: The provided value for scope is not valid." } }
    const access_token = `token-${crypto.randomUUID()}`
    tokens.set(access_token, of as "management" | "storage")
    return { status: 200, body: { token_type: "Bearer", expires_in: 3600, ext_expires_in: 3600, access_token } }
  }
