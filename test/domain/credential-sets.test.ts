import { assert, describe, it } from "@effect/vitest"
import {
  CredentialsDecider, CredentialsRejected, CredentialsRemoved, CredentialsSet, mostSets, RemoveCredentials, SetCredentials
} from "../../domain/credential-sets.ts"
import { fold } from "../../domain/decider.ts"
import { specify } from "../support/specify.ts"

const { given } = specify(CredentialsDecider)
const sealed = (fingerprint: string, nonce = "n") => ({ keyId: "k", nonce, ciphertext: `c${nonce}`, fingerprint })
const facts = { name: "prod", provider: "aws" as const, fields: ["access_key_id", "secret_access_key"] }
const set = (fingerprint: string, nonce?: string) => CredentialsSet.make({ ...facts, sealed: sealed(fingerprint, nonce) })
const store = (fingerprint: string, nonce?: string) => SetCredentials.make({ ...facts, sealed: sealed(fingerprint, nonce) })

describe("a tenant's sets of credentials", () => {
  it("take in a set, and another in its place", () => {
    given().when(store("one")).then(set("one"))
    given(set("one")).when(store("two")).then(set("two"))
  })

  it("stay as they are when the same values are sealed anew", () => given(set("one")).when(store("one", "other")).thenNothing())

  it("take the same values in again once they are sealed with another key, since the old key is gone", () =>
    given(CredentialsSet.make({ ...facts, sealed: { ...sealed("one"), keyId: "lost" } })).when(store("one")).then(set("one")))

  it("let go of one, and refuse to let go of what is not there", () => {
    given(set("one")).when(RemoveCredentials.make({ name: "prod" })).then(CredentialsRemoved.make({ name: "prod" }))
    given(set("one"), CredentialsRemoved.make({ name: "prod" })).when(RemoveCredentials.make({ name: "prod" }))
      .thenRejected(new CredentialsRejected({ reason: "NotFound" }))
    assert.strictEqual(fold(CredentialsDecider, [set("one"), CredentialsRemoved.make({ name: "prod" })]).size, 0)
  })

  it("are no more than so many, but each of those may change", () => {
    const full = Array.from({ length: mostSets - 1 }, (_, at) => CredentialsSet.make({ ...facts, name: `set-${at}`, sealed: sealed("one") }))
    given(...full, set("one")).when(store("two")).then(set("two"))
    given(...full, CredentialsSet.make({ ...facts, name: "last", sealed: sealed("one") })).when(store("two"))
      .thenRejected(new CredentialsRejected({ reason: "TooMany" }))
  })
})
