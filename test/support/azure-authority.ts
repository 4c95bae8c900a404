/** What all stand-ins for Azure have in common: a client of a tenant, its tokens, and how no is said. */
import { clientFault, type Known, known } from "./azure-clients.ts"
import type { Answer } from "./stand-in.ts"

export { client, tenant } from "./azure-clients.ts"

export type Service = "management" | "storage"

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
export const azureAuthority = (base: () => string, tokens: Map<string, Service>, { tenant, ...clients }: Known = known()) =>
  (method: string, path: string, body: string): Answer => {
    const root = `${base()}/${tenant}`
    if (method === "GET" && path === `/${tenant}/v2.0/.well-known/openid-configuration`) {
      return { status: 200, body: { token_endpoint: `${root}/oauth2/v2.0/token`, authorization_endpoint: `${root}/oauth2/v2.0/authorize`, issuer: `${root}/v2.0`, jwks_uri: `${root}/keys` } }
    }
    const given = new URLSearchParams(body)
    if (method !== "POST" || path !== `/${tenant}/oauth2/v2.0/token`) return { status: 404, body: { error: "not_found" } }
    const fault = clientFault(given, `${root}/oauth2/v2.0/token`, { tenant, ...clients })
    if (fault !== undefined) return { status: 401, body: { error: "invalid_client", error_description: fault } }
    const [, of] = /https:\/\/(management|storage)\.azure\.com\/\/?\.default/.exec(given.get("scope") ?? "") ?? []
    if (of === undefined) return { status: 400, body: { error: "invalid_scope", error_description: "AADSTS70011: The provided value for scope is not valid." } }
    return { status: 200, body: { token_type: "Bearer", expires_in: 3600, ext_expires_in: 3600, access_token: newToken(tokens, of as Service) } }
  }

export const newToken = (tokens: Map<string, Service>, of: Service): string => {
  const token = `token-${crypto.randomUUID()}`
  tokens.set(token, of)
  return token
}
