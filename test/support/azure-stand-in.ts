/** Azure on one port over TLS: tokens for a client's secret, the resource manager's images, and a storage account's page blobs. */
import { Effect } from "effect"
import type { CredentialsOf } from "../../domain/credentials.ts"
import { armStandIn, place } from "./arm-stand-in.ts"
import { certificate } from "./certificate.ts"
import { account, blobRefusal, pageBlobStandIn, storageKey } from "./page-blob-stand-in.ts"
import { temporaryFolder } from "./servers-mode.ts"
import { type Answer, listen } from "./stand-in.ts"
import { stopping } from "./stopping.ts"

export const tenant = "5b1d4f1e-0000-4000-8000-000000000001"
export const client = { id: "5b1d4f1e-0000-4000-8000-000000000002", secret: "an example's secret" }

export const azureStandIn = Effect.gen(function*() {
  const dir = yield* temporaryFolder
  const tls = certificate()
  const tokens = new Map<string, "management" | "storage">()
  const faults: Array<{ readonly path: RegExp; readonly status: number; readonly code: string; readonly message: string; readonly headers?: Record<string, string> }> = []
  const { guard, ...stop } = stopping()
  let base = ""
  const blobs = pageBlobStandIn(dir, (token) => tokens.get(token) === "storage")
  const arm = armStandIn(dir, () => base, blobs, account)

  const authority = (method: string, path: string, body: string): Answer => {
    const root = `${base}/${tenant}`
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

  const guarded = guard((request, body) => {
    const url = new URL(request.url!, base)
    const isArm = url.pathname.startsWith("/subscriptions/")
    const fault = faults.findIndex(({ path }) => path.test(`${request.method} ${url.pathname}${url.search}`))
    if (fault >= 0) {
      const [{ code, headers, message, status }] = faults.splice(fault, 1) as [typeof faults[number]]
      return isArm ? { status, body: { error: { code, message } }, ...(headers && { headers }) } : blobRefusal(status, code, message, headers)
    }
    if (!isArm) return blobs.answer(request, url, body)
    const [, token = ""] = /^Bearer (.+)$/.exec(request.headers.authorization ?? "") ?? []
    if (tokens.get(token) !== "management") return { status: 401, body: { error: { code: "AuthenticationFailed", message: "Authentication failed." } } }
    return arm.answer(request.method!, url, body.toString())
  })

  const port = yield* listen((request, body) => {
    const url = new URL(request.url!, "https://stand-in")
    const known = url.pathname.startsWith("/subscriptions/") || url.pathname.startsWith(`/${account}/`)
    return known ? guarded(request, body) : authority(request.method!, url.pathname, body.toString())
  }, tls)
  base = `https://127.0.0.1:${port}`

  const credentials = (over: Partial<CredentialsOf<"azure">> = {}): CredentialsOf<"azure"> => ({
    provider: "azure", tenant_id: tenant, client_id: client.id, client_secret: client.secret,
    endpoints: { login: base, management: base, blob: `${base}/${account}` }, ...over
  })
  return {
    base, ca: tls.cert, dir, blobs, arm, credentials, place, storageKey, ...stop,
    /** The next call whose method and path match fails with this. */
    failWith: (path: RegExp, status: number, code: string, message: string, headers?: Record<string, string>) => void faults.push({ path, status, code, message, ...(headers && { headers }) })
  }
})
