/** Google on one port: tokens by workload identity's exchange, Cloud Storage and the images of Compute Engine. */
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import type { CredentialsOf } from "../../domain/credentials.ts"
import { gceStandIn } from "./gce-stand-in.ts"
import { gcsStandIn, Refused } from "./gcs-stand-in.ts"
import { temporaryFolder } from "./servers-mode.ts"
import { type Answer, listen } from "./stand-in.ts"
import { stopping } from "./stopping.ts"

const audience = "//iam.googleapis.com/projects/4711/locations/global/workloadIdentityPools/kiln/providers/example"
const subject = "subject-token-of-this-machine"

export const gcpStandIn = Effect.gen(function*() {
  const dir = yield* temporaryFolder
  const tokens = new Set<string>()
  const faults: Array<{ readonly path: RegExp; readonly status: number; readonly reason: string; readonly message: string; readonly headers?: Record<string, string> }> = []
  const { guard, ...stop } = stopping()
  let base = ""
  const gcs = gcsStandIn(dir, () => base)
  const gce = gceStandIn(dir, gcs)

  const exchange = (body: URLSearchParams): Answer => {
    const wanted = {
      grant_type: "urn:ietf:params:oauth:grant-type:token-exchange", audience, subject_token: subject,
      requested_token_type: "urn:ietf:params:oauth:token-type:access_token", subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
      scope: "https://www.googleapis.com/auth/cloud-platform"
    }
    const wrong = Object.entries(wanted).find(([name, value]) => !(body.get(name) ?? "").split(" ").includes(value))
    if (wrong !== undefined) return { status: 400, body: { error: "invalid_grant", error_description: `${wrong[0]} is wrong` } }
    const access_token = `ya29.${crypto.randomUUID()}`
    tokens.add(access_token)
    return { status: 200, body: { access_token, issued_token_type: wanted.requested_token_type, token_type: "Bearer", expires_in: 3600 } }
  }

  const port = yield* listen((request, body) => {
    const url = new URL(request.url!, "http://stand-in")
    if (request.method === "POST" && url.pathname === "/token") return exchange(new URLSearchParams(body.toString()))
    return guarded(request, body)
  })
  const guarded = guard(async (request, body) => {
    const url = new URL(request.url!, "http://stand-in")
    try {
      const [, token] = /^Bearer (.+)$/.exec(request.headers.authorization ?? "") ?? []
      if (!gcs.isCapability(request, url) && (token === undefined || !tokens.has(token))) throw new Refused(401, "authError", "Request had invalid authentication credentials.")
      const fault = faults.findIndex(({ path }) => path.test(`${request.method} ${url.pathname}`))
      if (fault >= 0) {
        const [{ headers, message, reason, status }] = faults.splice(fault, 1) as [typeof faults[number]]
        return refusal(status, reason, message, headers)
      }
      return await (url.pathname.startsWith("/compute/") ? gce.answer(request.method!, url, body) : gcs.answer(request, url, body))
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      return refusal(error.status, error.reason, error.message)
    }
  })
  base = `http://127.0.0.1:${port}`

  const credentials = (subjectToken = subject): CredentialsOf<"gcp"> => {
    const tokenFile = join(dir, `token-${subjectToken}`)
    writeFileSync(tokenFile, subjectToken)
    return {
      provider: "gcp", project: "example-project", endpoints: { storage: base, compute: base },
      key: JSON.stringify({
        type: "external_account", audience, subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
        token_url: `${base}/token`, credential_source: { file: tokenFile }
      })
    }
  }

  return {
    base, host: `127.0.0.1:${port}`, dir, gcs, gce, credentials, ...stop,
    /** The next call whose method and path match fails with this. */
    failWith: (path: RegExp, status: number, reason: string, message: string, headers?: Record<string, string>) => void faults.push({ path, status, reason, message, ...(headers && { headers }) })
  }
})

const refusal = (status: number, reason: string, message: string, headers: Record<string, string> = {}): Answer => ({
  status, headers, body: { error: { code: status, message, errors: [{ domain: "global", reason, message }] } }
})
