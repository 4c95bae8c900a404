/** Who may push to a registry, and where a push may lead. */
import { createHash } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { CredentialsOf } from "../../../domain/credentials.ts"
import type { TargetOf } from "../../../domain/target.ts"
import { challengeOf } from "../../../infra/targets/oci/challenge.ts"
import { ociTarget } from "../../../infra/targets/oci/target.ts"
import { certificate } from "../../support/certificate.ts"
import { deliver, deliveryOf, newJournal } from "../../support/deliver.ts"
import { dockerRegistry, registryImpossible } from "../../support/docker-registry.ts"
import { skipWhere } from "../../support/needs.ts"
import { registryFront } from "../../support/registry-front.ts"
import { registryTokens } from "../../support/registry-tokens.ts"
import { type Answer, listen } from "../../support/stand-in.ts"

const folder = mkdtempSync(join(tmpdir(), "kiln-oci-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const impossible = registryImpossible()
const chunkBytes = 64 * 1024
const oci = ociTarget({ privateHosts: true, chunkBytes })
const secret = "open-sesame"
const path = join(folder, "disk.raw")
writeFileSync(path, Buffer.alloc(3 * chunkBytes, "kiln"))

type Oci = TargetOf<"oci">
const given = (host: string, credentials: Partial<CredentialsOf<"oci">> = {}, repository = "team/disk") => Effect.promise(() =>
  deliveryOf<Oci>({ target: { type: "oci", registry: host, repository, tag: "v1" }, credentials: { provider: "oci", plain_http: true, ...credentials }, path }))
const pushed = (host: string, credentials: Partial<CredentialsOf<"oci">> = {}) => Effect.flatMap(given(host, credentials), (delivery) => deliver(oci, delivery, newJournal(folder)))
const refusalOf = (host: string, credentials: Partial<CredentialsOf<"oci">> = {}, to = oci) =>
  Effect.flatMap(given(host, credentials), (delivery) => Effect.flip(deliver(to, delivery, newJournal(folder))))

/** As the registry wants it: bcrypt of the secret above. */
const htpasswd = (dir: string) => {
  writeFileSync(join(dir, "htpasswd"), "ann:$2y$05$abcdefghijklmnopqrstuutXu9KzOt.1yBoZUeFWoT/914/JfszCO\n")
  return ["auth:", "  htpasswd:", "    realm: registry", `    path: ${join(dir, "htpasswd")}`]
}

describe("how a registry says whom it wants to see", () => {
  const cases = [
    ["Bearer realm=\"https://auth.example.org/token\",service=\"registry\",scope=\"repository:a/b:pull,push\"", { scheme: "bearer", realm: "https://auth.example.org/token", service: "registry", scope: "repository:a/b:pull,push" }],
    ["bearer service=registry, realm=\"https://x/\\\"y\\\"\"", { scheme: "bearer", realm: "https://x/\"y\"", service: "registry", scope: undefined }],
    ["Basic realm=\"r\"", { scheme: "basic" }],
    ["Basic realm=\"r\", Bearer realm=\"https://x/\"", { scheme: "bearer", realm: "https://x/", service: undefined, scope: undefined }],
    ["Negotiate", undefined], ["Bearer service=\"without a realm\"", undefined], [undefined, undefined]
  ] as const
  for (const [header, challenge] of cases) it(`given ${header}, then that is understood`, () => assert.deepStrictEqual(challengeOf(header), challenge))
})

describe("a registry that knows its users", () => {
  skipWhere(impossible !== undefined, impossible ?? "")

  it.live("given a registry that checks tokens, then they are fetched for this repository and used, and a later token serves where one has run out", () =>
    Effect.scoped(Effect.gen(function*() {
      const { asked, auth, port } = yield* registryTokens("ann", secret)
      const front = yield* registryFront(yield* dockerRegistry({ auth }))
      let forgets = 12
      const unknown = { status: 401, headers: { "www-authenticate": `Bearer realm="http://127.0.0.1:${port}/token",service="registry.test",scope="repository:team/disk:pull"` } }
      front.answering = (_, number) => number === forgets ? (forgets = 0, unknown) : undefined
      yield* pushed(front.host, { username: "ann", password: secret })
      assert.deepStrictEqual(asked.map(({ scope }) => scope), Array(2).fill("repository:team/disk:pull,push"))
      const sent = front.passed.map(({ authorization }) => authorization).filter((each) => each !== undefined)
      assert.isTrue(sent.every((each) => each.startsWith("Bearer ")))
      assert.strictEqual(new Set(sent).size, 2)
    })))

  it.live("given a wrong password, or a user who may only pull, then the delivery fails by the user's fault, with the registry's words and nothing of the password", () =>
    Effect.scoped(Effect.gen(function*() {
      const { auth, grants } = yield* registryTokens("ann", secret)
      const { host } = yield* dockerRegistry({ auth })
      const wrong = yield* refusalOf(host, { username: "ann", password: "not-the-password" })
      assert.strictEqual(wrong.class, "user")
      assert.match(wrong.message, /401 wrong user or password|UNAUTHORIZED/)
      assert.notMatch(JSON.stringify(wrong), /not-the-password|Basic /)
      grants.actions = ["pull"]
      const pulls = yield* refusalOf(host, { username: "ann", password: secret })
      assert.deepStrictEqual([pulls.class, /UNAUTHORIZED/.test(pulls.message)], ["user", true])
    })))

  it.live("given a registry with a list of passwords, then it is told the password, and only where one fits there is no obstacle", () =>
    Effect.scoped(Effect.gen(function*() {
      const { host } = yield* dockerRegistry({ auth: htpasswd })
      const fits: CredentialsOf<"oci"> = { provider: "oci", plain_http: true, username: "ann", password: secret }
      yield* pushed(host, fits)
      const { target } = yield* given(host)
      assert.deepStrictEqual(yield* oci.check(target, fits), [])
      const [obstacle] = yield* oci.check(target, { ...fits, password: "wrong" })
      assert.strictEqual(obstacle?.what, "push")
      assert.match(obstacle?.problem ?? "", /401/)
    })))

  it.live("given a place to send to at another origin, then what opens the registry is not sent there", () =>
    Effect.scoped(Effect.gen(function*() {
      const seen: Array<string | undefined> = []
      const elsewhere = yield* listen(({ headers: { authorization }, method }) => {
        seen.push(authorization)
        return method === "PATCH" ? { status: 202, headers: { location: "/later" } } : { status: 500 }
      })
      const registry = yield* listen(({ headers: { authorization }, method, url = "" }): Answer => {
        if (authorization === undefined) return { status: 401, headers: { "www-authenticate": "Basic realm=\"r\"" } }
        if (method === "POST") return { status: 202, headers: { location: `http://127.0.0.1:${elsewhere}/upload?x=${url.length}` } }
        return { status: 404 }
      })
      yield* refusalOf(`127.0.0.1:${registry}`, { username: "ann", password: secret })
      assert.isNotEmpty(seen)
      assert.deepStrictEqual(new Set(seen), new Set([undefined]))
    })))
})

describe("where a registry may be", () => {
  it.live("given an address of the machine itself or of its link, when that is not allowed, then nothing is sent to it", () =>
    Effect.scoped(Effect.gen(function*() {
      let asked = 0
      const port = yield* listen(() => (asked++, { status: 404 }))
      for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, "169.254.169.254"]) {
        const { class: failure, message } = yield* refusalOf(host, {}, ociTarget({ privateHosts: false }))
        assert.deepStrictEqual([failure, /a target may not have here/.test(message)], ["user", true], host)
      }
      assert.strictEqual(asked, 0)
    })))

  it.live("given no word that it may do without TLS, then it is spoken to by TLS, and its certificate has to fit", () =>
    Effect.scoped(Effect.gen(function*() {
      const tls = certificate()
      let asked = 0
      const port = yield* listen(() => (asked++, { status: 403, body: { errors: [{ code: "DENIED", message: "not for you" }] } }), tls)
      const delivery = yield* given(`127.0.0.1:${port}`, { plain_http: false })
      const unknown = yield* Effect.flip(deliver(oci, delivery, newJournal(folder)))
      assert.deepStrictEqual([unknown.class, /certificate/i.test(unknown.message), asked], ["user", true, 0])
      const [known] = yield* ociTarget({ privateHosts: true, ca: tls.cert }).check(delivery.target, delivery.credentials)
      assert.match(known?.problem ?? "", /403 .*not for you/)
    })))

  it.live("given a registry by TLS that leads to a place without, then nothing goes there", () =>
    Effect.scoped(Effect.gen(function*() {
      const tls = certificate()
      const port = yield* listen(({ method }) => method === "POST" ? { status: 202, headers: { location: "http://127.0.0.1:9/x" } } : { status: 404 }, tls)
      const delivery = yield* given(`127.0.0.1:${port}`, { plain_http: false })
      const { class: failure, message } = yield* Effect.flip(deliver(ociTarget({ privateHosts: true, ca: tls.cert }), delivery, newJournal(folder)))
      assert.deepStrictEqual([failure, /not by https/.test(message)], ["user", true])
    })))
})

describe("a registry with ways of its own", () => {
  skipWhere(impossible !== undefined, impossible ?? "")

  it.live("given one that takes a blob only in one piece, then it is sent in one piece", () =>
    Effect.scoped(Effect.gen(function*() {
      const front = yield* registryFront(yield* dockerRegistry())
      front.answering = ({ method }) => method === "PATCH" ? { status: 405 } : undefined
      const copy = yield* pushed(front.host)
      const put = front.passed.find(({ bytes, method }) => method === "PUT" && bytes === 3 * chunkBytes)
      assert.isDefined(put)
      assert.strictEqual(copy.digest, `sha256:${createHash("sha256").update(Buffer.alloc(3 * chunkBytes, "kiln")).digest("hex")}`)
    })))

  it.live("given one that is busy now and then, then it is asked again", () =>
    Effect.scoped(Effect.gen(function*() {
      const front = yield* registryFront(yield* dockerRegistry())
      front.answering = (_, number) => number % 5 === 0 ? { status: number % 2 === 0 ? 429 : 503, headers: { "retry-after": "0" } } : undefined
      yield* pushed(front.host)
    })))

  it.live("given one that removes nothing, then a removal fails by the user's fault and in its words", () =>
    Effect.scoped(Effect.gen(function*() {
      const { host } = yield* dockerRegistry({ deletes: false })
      const copy = yield* pushed(host)
      const { target } = yield* given(host)
      const failure = yield* Effect.flip(oci.remove(target, copy.resources, { provider: "oci", plain_http: true }))
      assert.deepStrictEqual([failure.class, /UNSUPPORTED/.test(failure.message)], ["user", true])
    })))
})
