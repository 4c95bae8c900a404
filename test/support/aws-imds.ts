/** What tells an instance of EC2's the keys of its role, to who has fetched a token for asking first. */
import { Effect } from "effect"
import { listen } from "./stand-in.ts"

export interface RoleKeys {
  readonly access_key_id: string
  readonly secret_access_key: string
  readonly session_token: string
}

const roles = "/latest/meta-data/iam/security-credentials/"

export const awsImds = ({ access_key_id, secret_access_key, session_token }: RoleKeys, role = "kiln-worker") => Effect.gen(function*() {
  const asked: Array<string> = []
  const tokens = new Set<string>()
  const port = yield* listen(({ headers, method, url = "" }) => {
    asked.push(`${method} ${url}`)
    if (method === "PUT" && url === "/latest/api/token") {
      if (!/^[1-9]\d{0,4}$/.test(String(headers["x-aws-ec2-metadata-token-ttl-seconds"]))) return { status: 400 }
      const token = crypto.randomUUID()
      tokens.add(token)
      return { status: 200, body: token }
    }
    if (!tokens.has(String(headers["x-aws-ec2-metadata-token"]))) return { status: 401 }
    if (method === "GET" && url === roles) return { status: 200, body: role }
    if (method !== "GET" || url !== `${roles}${role}`) return { status: 404 }
    const Expiration = new Date(Date.now() + 6 * 3_600_000).toISOString()
    return { status: 200, body: { Code: "Success", Type: "AWS-HMAC", AccessKeyId: access_key_id, SecretAccessKey: secret_access_key, Token: session_token, Expiration } }
  })
  return { base: `http://127.0.0.1:${port}`, asked }
})
