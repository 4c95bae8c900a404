import { chmodSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TenantId } from "../../../domain/ids.ts"
import { credentialSetsFile } from "../../../infra/credentials/credential-sets-file.ts"
import { temporaryFolder } from "../../support/servers.ts"

const [acme, other] = [TenantId.make("acme"), TenantId.make("other")]
const planted = "planted-secret-0815"
const keys = { provider: "aws", access_key_id: "AKIA", secret_access_key: planted } as const

const opened = (text: string, mode = 0o600) =>
  Effect.map(temporaryFolder, (folder) => {
    const file = join(folder, "credentials.json")
    writeFileSync(file, text, { mode })
    return { file, sets: credentialSetsFile({ file, privateEndpoints: false }) }
  })
const refusal = (text: string, mode?: number) =>
  Effect.flatMap(opened(text, mode), ({ sets }) => Effect.map(Effect.flip(sets.find("prod", acme)), ({ message }) => message))

describe("an operator's file of credentials", () => {
  it.effect("gives a set to the tenants that it names, and to all where it names none", () =>
    Effect.gen(function*() {
      const { sets } = yield* opened(JSON.stringify({ prod: { ...keys, tenants: ["acme"] }, open: { provider: "oci", token: "t" } }))
      assert.deepStrictEqual(yield* sets.find("prod", acme), keys)
      assert.isUndefined(yield* sets.find("prod", other))
      assert.deepStrictEqual(yield* sets.find("open", other), { provider: "oci", token: "t" })
      assert.deepStrictEqual(yield* sets.offered, [{ name: "prod", provider: "aws", tenants: [acme] }, { name: "open", provider: "oci" }])
    }).pipe(Effect.scoped))

  it.effect("counts as it is now, not as it was at the start", () =>
    Effect.gen(function*() {
      const { file, sets } = yield* opened("{}")
      assert.isUndefined(yield* sets.find("prod", acme))
      writeFileSync(file, "prod:\n  provider: aws\n")
      assert.deepStrictEqual(yield* sets.find("prod", acme), { provider: "aws" })
    }).pipe(Effect.scoped))

  it.effect("is refused where others than its owner can read it", () =>
    Effect.gen(function*() {
      const { file, sets } = yield* opened(JSON.stringify({ prod: keys }))
      for (const mode of [0o640, 0o604, 0o660]) {
        chmodSync(file, mode)
        assert.include((yield* Effect.flip(sets.find("prod", acme))).message, "others than its owner")
      }
      assert.deepStrictEqual(yield* sets.offered, [])
    }).pipe(Effect.scoped))

  it.effect("is refused with a word that quotes nothing of it", () =>
    Effect.gen(function*() {
      for (const text of [
        `{"prod": "${planted}"`, `prod: &a [*a, ${planted}]`, `"${planted}"`, JSON.stringify({ prod: { ...keys, more: planted } }),
        JSON.stringify({ prod: { provider: planted } }), JSON.stringify({ prod: { provider: "gcp", key: planted } }),
        JSON.stringify({ prod: { ...keys, endpoints: { s3: planted } } }), JSON.stringify({ prod: { ...keys, tenants: [`${planted} `] } })
      ]) {
        const said = yield* refusal(text)
        assert.notInclude(said, planted, text)
        assert.include(said, "KILN_CREDENTIALS_FILE=")
      }
    }).pipe(Effect.scoped))
})

describe("a tenant's set, come to a worker", () => {
  const sets = credentialSetsFile({
    file: undefined, privateEndpoints: false, addressesOf: async (host) => host === "inside.example" ? ["192.0.2.1", "127.0.0.1"] : ["192.0.2.1"]
  })
  const admitted = (set: object) => sets.admit(JSON.stringify(set))

  it.effect("is taken as it was stored, and marked as one that leads to nothing private where that is so here", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* admitted(keys), { ...keys, publicOnly: true })
      const elsewhere = { ...keys, endpoints: { s3: "https://s3.example.org" } }
      assert.deepStrictEqual(yield* admitted(elsewhere), { ...elsewhere, publicOnly: true })
      const anywhere = credentialSetsFile({ file: undefined, privateEndpoints: true })
      assert.deepStrictEqual(yield* anywhere.admit(JSON.stringify(elsewhere)), elsewhere)
    }))

  it.effect("is judged once more, and the names in it are looked up", () =>
    Effect.gen(function*() {
      assert.include((yield* Effect.flip(admitted({ provider: "aws" }))).message, "access_key_id")
      assert.include((yield* Effect.flip(admitted({ ...keys, endpoints: { s3: "https://127.0.0.1" } }))).message, "endpoints.s3")
      const near = yield* Effect.flip(admitted({ ...keys, endpoints: { s3: "https://inside.example" } }))
      assert.include(near.message, "endpoints.s3 leads to the machine itself")
      assert.notInclude((yield* Effect.flip(sets.admit(`{"provider":"${planted}"}`))).message, planted)
    }))
})
