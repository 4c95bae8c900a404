import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from "jose"
import { PoolScope, TenantId } from "../../../domain/ids.ts"
import { IssuerUnavailable, LocalIssuer, type TokenRefused, Tokens } from "../../../domain/ports/tokens.ts"
import { LocalIssuerFiles, trustLocal } from "../../../infra/jose/local-issuer.ts"
import { TokensJose } from "../../../infra/jose/tokens-jose.ts"
import type { TrustedIssuer } from "../../../infra/jose/trusted-issuer.ts"

const issuer = "https://sso.example.org"
const now = 1_800_000_000

const keysFor = async (alg: string, kid: string = alg) => {
  const pair = await generateKeyPair(alg, { extractable: true })
  return { ...pair, jwk: { ...await exportJWK(pair.publicKey), alg, kid, use: "sig" } }
}
const keys = { EdDSA: await keysFor("EdDSA"), ES256: await keysFor("ES256"), RS256: await keysFor("RS256"), PS256: await keysFor("PS256") }
const jwks = { keys: Object.values(keys).map(({ jwk }) => jwk) }
const trusted: TrustedIssuer = { issuer, audience: "kiln", keys: { jwks }, clockSkewSeconds: 10 }

const claims = { tenant: "acme", role: "requester", iss: issuer, aud: "kiln", sub: "anna", exp: now + 60 }

const signed = (changes: JWTPayload = {}, alg: keyof typeof keys = "EdDSA", key = keys[alg].privateKey) =>
  new SignJWT({ ...claims, ...changes }).setProtectedHeader({ alg, kid: alg }).sign(key)

const verify = (token: string | Promise<string>, trust: ReadonlyArray<TrustedIssuer> = [trusted]) =>
  Effect.gen(function*() {
    yield* TestClock.setTime(now * 1000)
    const tokens = yield* Tokens
    return yield* tokens.verify(yield* Effect.promise(async () => token))
  }).pipe(Effect.provide(TokensJose(trust)))

const whyNot = (token: string | Promise<string>, trust?: ReadonlyArray<TrustedIssuer>) =>
  Effect.map(Effect.flip(verify(token, trust)), (error) => (error as TokenRefused).reason)

describe("a token", () => {
  for (const alg of ["EdDSA", "ES256", "RS256"] as const) {
    it.effect(`signed by ${alg} tells tenant, role and subject`, () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* verify(signed({}, alg)), {
          tenantId: TenantId.make("acme"), role: "requester", subject: "anna", expiresAt: (now + 60) * 1000
        })
      }))
  }

  it.effect("of a worker may name its pool, and its own name in it", () =>
    Effect.gen(function*() {
      const identity = yield* verify(signed({ role: "worker", pool: "fast", worker: "w1" }))
      assert.deepStrictEqual([identity.pool, identity.worker], [PoolScope.make("fast"), "w1"])
      const refused = yield* Effect.flip(verify(signed({ role: "worker", worker: "w.>" })))
      assert.strictEqual(refused._tag === "TokenRefused" && refused.reason, "bad-claims")
    }))

  it.effect("may keep the answers in claims of other names", () =>
    Effect.gen(function*() {
      const elsewhere = { ...trusted, claims: { tenant: ["kiln", "org"], role: "https://kiln/role" }, defaultRole: "requester" as const }
      const identity = yield* verify(signed({ tenant: "no", role: "no", kiln: { org: "beta" } }), [elsewhere])
      assert.strictEqual(identity.tenantId, "beta")
      assert.strictEqual(identity.role, "requester")
      assert.strictEqual((yield* verify(signed({ kiln: { org: "beta" }, "https://kiln/role": "operator" }), [elsewhere])).role, "operator")
    }))

  it.effect("may come from any of several issuers, each with its own keys", () =>
    Effect.gen(function*() {
      const mine = yield* Effect.promise(() => keysFor("EdDSA", "mine"))
      const second: TrustedIssuer = { issuer: "second", audience: ["a", "b"], keys: { jwks: { keys: [mine.jwk] } } }
      const token = new SignJWT({ ...claims, iss: "second", aud: "b" }).setProtectedHeader({ alg: "EdDSA", kid: "mine" })
      assert.strictEqual((yield* verify(token.sign(mine.privateKey), [trusted, second])).tenantId, "acme")
      assert.strictEqual(yield* whyNot(signed({ iss: "second", aud: "b" }), [trusted, second]), "bad-signature")
    }))
})

describe("a token is refused", () => {
  const cases: Record<string, readonly [() => string | Promise<string>, TokenRefused["reason"]]> = {
    "when it is none": [() => "hello", "malformed"],
    "when it is very long": [() => "x".repeat(9000), "unknown-issuer"],
    "when it has expired": [() => signed({ exp: now - 11 }), "expired"],
    "when it never expires": [() => signed({ exp: undefined }), "bad-claims"],
    "when it is not valid yet": [() => signed({ nbf: now + 11 }), "not-yet-valid"],
    "when it is for another audience": [() => signed({ aud: "other" }), "wrong-audience"],
    "when it names no audience": [() => signed({ aud: undefined }), "wrong-audience"],
    "when its issuer is not trusted": [() => signed({ iss: "https://evil.example.org" }), "unknown-issuer"],
    "when another's key signed it": [async () => signed({}, "EdDSA", (await keysFor("EdDSA")).privateKey), "bad-signature"],
    "when it was altered": [async () => {
      const [header, , signature] = (await signed()).split(".")
      return [header, Buffer.from(JSON.stringify({ ...claims, tenant: "other" })).toString("base64url"), signature].join(".")
    }, "bad-signature"],
    "when nobody signed it": [() => new UnsecuredJWT(claims).encode(), "bad-signature"],
    "when a public key served as shared secret": [async () =>
      new SignJWT(claims).setProtectedHeader({ alg: "HS256", kid: "RS256" })
        .sign(new TextEncoder().encode(await exportSPKI(keys.RS256.publicKey))), "bad-signature"],
    "when its method is not one of the three": [() => signed({}, "PS256"), "bad-signature"],
    "when it claims a method that its key is not for": [() =>
      new SignJWT(claims).setProtectedHeader({ alg: "ES256", kid: "EdDSA" }).sign(keys.ES256.privateKey), "bad-signature"],
    "when it names no tenant": [() => signed({ tenant: undefined }), "bad-claims"],
    "when its tenant is a subject's wildcard": [() => signed({ tenant: "*" }), "bad-claims"],
    "when its tenant climbs out of a folder": [() => signed({ tenant: "../x" }), "bad-claims"],
    "when its role is unknown": [() => signed({ role: "root" }), "bad-claims"],
    "when its role is none": [() => signed({ role: undefined }), "bad-claims"],
    "when its subject is missing": [() => signed({ sub: undefined }), "bad-claims"],
    "when its subject has control characters": [() => signed({ sub: "a\nb" }), "bad-claims"]
  }
  for (const [name, [token, reason]] of Object.entries(cases)) {
    it.effect(name, () => Effect.map(whyNot(token()), (why) => assert.strictEqual(why, reason)))
  }

  it.effect("by every issuer's own list of methods", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* whyNot(signed({}, "RS256"), [{ ...trusted, algorithms: ["EdDSA"] }]), "bad-signature")
    }))

  it.effect("without a word of it in the message", () =>
    Effect.gen(function*() {
      const token = yield* Effect.promise(() => signed({ exp: now - 100 }))
      const error = yield* Effect.flip(verify(token))
      for (const part of token.split(".")) assert.notInclude(JSON.stringify(error), part)
    }))
})

describe("clocks", () => {
  it.effect("may differ by the skew", () =>
    Effect.gen(function*() {
      yield* verify(signed({ exp: now - 9 }))
      yield* verify(signed({ nbf: now + 9 }))
    }))

  it.effect("end a token that was good a moment ago", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(now * 1000)
      const tokens = yield* Tokens
      const token = yield* Effect.promise(() => signed({ exp: now + 5 }))
      yield* tokens.verify(token)
      yield* TestClock.adjust("14 seconds")
      yield* tokens.verify(token)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(((yield* Effect.flip(tokens.verify(token))) as TokenRefused).reason, "expired")
    }).pipe(Effect.provide(TokensJose([trusted]))))
})

describe("an issuer's keys", () => {
  const serve = (body: () => unknown) =>
    Effect.acquireRelease(
      Effect.callback<{ url: string; asked: () => number; close: () => void }>((resume) => {
        let asked = 0
        const server = createServer((_, response) => {
          asked += 1
          response.setHeader("content-type", "application/json").end(JSON.stringify(body()))
        }).listen(0, "127.0.0.1", () => {
          const { port } = server.address() as AddressInfo
          resume(Effect.succeed({ url: `http://127.0.0.1:${port}/jwks`, asked: () => asked, close: () => server.close() }))
        })
      }),
      ({ close }) => Effect.sync(close)
    )

  it.effect("are fetched once for many tokens", () =>
    Effect.gen(function*() {
      const server = yield* serve(() => jwks)
      yield* TestClock.setTime(now * 1000)
      const tokens = yield* Effect.provide(Tokens, TokensJose([{ ...trusted, keys: { url: server.url } }]))
      for (const alg of ["EdDSA", "ES256", "RS256"] as const) {
        yield* tokens.verify(yield* Effect.promise(() => signed({}, alg)))
      }
      assert.strictEqual(server.asked(), 1)
      yield* Effect.flip(tokens.verify(yield* Effect.promise(async () =>
        new SignJWT(claims).setProtectedHeader({ alg: "EdDSA", kid: "unheard-of" }).sign(keys.EdDSA.privateKey))))
      assert.strictEqual(server.asked(), 1)
    }))

  it.effect("that cannot be had are nobody's fault", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(verify(signed(), [{ ...trusted, keys: { url: "http://127.0.0.1:1/jwks" } }]))
      assert.instanceOf(error, IssuerUnavailable)
    }))

  it.effect("that are no keys are the issuer's fault", () =>
    Effect.gen(function*() {
      const server = yield* serve(() => ({ hello: 1 }))
      assert.instanceOf(yield* Effect.flip(verify(signed(), [{ ...trusted, keys: { url: server.url } }])), IssuerUnavailable)
    }))
})

describe("the local issuer", () => {
  const inFolder = <A, E>(use: (folder: string) => Effect.Effect<A, E>) =>
    Effect.acquireUseRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "kiln-issuer-"))), use,
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true })))
  const issuerIn = (folder: string) => Effect.provide(LocalIssuer, LocalIssuerFiles(folder))
  const request = { tenantId: TenantId.make("acme"), role: "worker", subject: "w1", ttl: 60_000, pool: PoolScope.make("p") } as const

  it.effect("makes tokens that are trusted, until they expire", () =>
    inFolder((folder) =>
      Effect.gen(function*() {
        const local = yield* issuerIn(folder)
        const tokens = yield* Effect.provide(Tokens, TokensJose([trustLocal(local)]))
        const token = yield* local.sign(request)
        assert.deepInclude(yield* tokens.verify(token), { tenantId: request.tenantId, role: "worker", subject: "w1", pool: request.pool })
        yield* TestClock.adjust("91 seconds")
        assert.strictEqual(((yield* Effect.flip(tokens.verify(token))) as TokenRefused).reason, "expired")
      })))

  it.effect("keeps one key pair for all who come first at once, readable by its owner alone", () =>
    inFolder((folder) =>
      Effect.gen(function*() {
        const issuers = yield* Effect.all(Array.from({ length: 10 }, () => issuerIn(folder)), { concurrency: "unbounded" })
        assert.strictEqual(new Set(issuers.map(({ jwks: { keys: [key] } }) => key!["kid"])).size, 1)
        assert.strictEqual(statSync(join(folder, "issuer.json")).mode & 0o777, 0o600)
      })))

  it.effect("publishes nothing of the private half", () =>
    inFolder((folder) =>
      Effect.gen(function*() {
        const { d } = (yield* issuerIn(folder), JSON.parse(readFileSync(join(folder, "issuer.json"), "utf8")))
        assert.isString(d)
        assert.notInclude(JSON.stringify((yield* issuerIn(folder)).jwks), d)
      })))
})
