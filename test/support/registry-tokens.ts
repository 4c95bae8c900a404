/** Hands out tokens for a registry, as its `realm`: whoever asks has to say for what, and who he is. The registry itself checks them. */
import { randomUUID, sign } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { certificate } from "./certificate.ts"
import { listen } from "./stand-in.ts"

export interface TokenAsked {
  readonly scope: string
  readonly authorization: string | undefined
}

const service = "registry.test"
const base64url = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url")

export const registryTokens = Effect.fnUntraced(function*(user: string, password: string) {
  const { cert, key } = certificate()
  const asked: Array<TokenAsked> = []
  /** Actions that are given, whatever is asked for. */
  const grants = { actions: ["pull", "push", "delete"] }
  const basic = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`
  const token = (scope: string) => {
    const [type, name, actions = ""] = scope.split(":")
    const now = Math.floor(Date.now() / 1000)
    const head = base64url({ typ: "JWT", alg: "ES256", x5c: [cert.replace(/-----[^-]+-----|\s/g, "")] })
    const body = base64url({
      iss: "tokens.test", sub: user, aud: service, exp: now + 300, nbf: now - 10, iat: now, jti: randomUUID(),
      access: [{ type, name, actions: actions.split(",").filter((action) => grants.actions.includes(action)) }]
    })
    return `${head}.${body}.${sign("sha256", Buffer.from(`${head}.${body}`), { key, dsaEncoding: "ieee-p1363" }).toString("base64url")}`
  }
  const port = yield* listen(({ headers: { authorization }, method, url = "" }) => {
    const { pathname, searchParams } = new URL(url, "http://x")
    const scope = searchParams.get("scope") ?? ""
    asked.push({ scope, authorization })
    if (method !== "GET" || pathname !== "/token" || searchParams.get("service") !== service || scope === "") return { status: 400 }
    if (authorization !== basic) return { status: 401, body: { errors: [{ code: "UNAUTHORIZED", message: "wrong user or password" }] } }
    return { status: 200, body: { token: token(scope), expires_in: 300 } }
  })
  const auth = (dir: string) => {
    writeFileSync(join(dir, "root.pem"), cert)
    return ["auth:", "  token:", `    realm: http://127.0.0.1:${port}/token`, `    service: ${service}`, "    issuer: tokens.test", `    rootcertbundle: ${join(dir, "root.pem")}`]
  }
  return { asked, auth, grants, port }
})
