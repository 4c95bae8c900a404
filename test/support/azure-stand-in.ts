/** Azure on one port over TLS: tokens for who shows who he is, the resource manager's images, and a storage account's page blobs. */
import { Effect } from "effect"
import type { CredentialsOf } from "../../domain/credentials.ts"
import { armStandIn, place } from "./arm-stand-in.ts"
import { azureAuthority, client, type Service, tenant } from "./azure-authority.ts"
import { known } from "./azure-clients.ts"
import { certificate } from "./certificate.ts"
import { account, blobRefusal, pageBlobStandIn, storageKey } from "./page-blob-stand-in.ts"
import { temporaryFolder } from "./servers-mode.ts"
import { listen } from "./stand-in.ts"
import { stopping } from "./stopping.ts"

export const azureStandIn = Effect.gen(function*() {
  const dir = yield* temporaryFolder
  const tls = certificate()
  const tokens = new Map<string, Service>()
  const faults: Array<{ readonly path: RegExp; readonly status: number; readonly code: string; readonly message: string; readonly headers?: Record<string, string> }> = []
  const { guard, ...stop } = stopping()
  let base = ""
  const blobs = pageBlobStandIn(dir, (token) => tokens.get(token) === "storage")
  const arm = armStandIn(dir, () => base, blobs, account)

  const clients = known()
  const authority = azureAuthority(() => base, tokens, clients)
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

  let served = 0
  const port = yield* listen((request, body) => {
    served += 1
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
    base, ca: tls.cert, dir, tokens, clients, blobs, arm, credentials, place, storageKey, ...stop,
    /** All requests, those for tokens among them. */
    served: () => served,
    /** The next call whose method and path match fails with this. */
    failWith: (path: RegExp, status: number, code: string, message: string, headers?: Record<string, string>) => void faults.push({ path, status, code, message, ...(headers && { headers }) })
  }
})
