import { assert, describe, it } from "@effect/vitest"
import {
  BlueprintChanged, BlueprintCreated, BlueprintDecider, BlueprintDeleted, BlueprintDescribed, BlueprintRejected, ChangeBlueprint, CreateBlueprint, DeleteBlueprint, mostVersions
} from "../../domain/blueprint.ts"
import { BlueprintNameClaimed, BlueprintNameDecider, BlueprintNameReleased, BlueprintNameTaken, ClaimBlueprintName, ReleaseBlueprintName } from "../../domain/blueprint-name.ts"
import { differencesOf } from "../../domain/differences.ts"
import type { SealedComposeRequest } from "../../domain/compose-request.ts"
import { BlueprintId } from "../../domain/ids.ts"
import { specify } from "../support/specify.ts"

const { given } = specify(BlueprintDecider)
const blueprintId = BlueprintId.make("01890000-0000-7000-8000-000000000001")
const otherId = BlueprintId.make("01890000-0000-7000-8000-000000000002")
const request = (type = "guest-image"): SealedComposeRequest => ({ distribution: "debian-13", images: [{ architecture: "x86_64", type }] })
const withPassword = (fingerprint: string, { ciphertext = "c", keyId = "k" } = {}): SealedComposeRequest =>
  ({ ...request(), customizations: { users: [{ name: "ann", password: { keyId, nonce: "n", ciphertext, fingerprint } }] } })

const created = BlueprintCreated.make({ blueprintId, name: "web", request: request() })
const change = (to: SealedComposeRequest, others: object = {}) => ChangeBlueprint.make({ blueprintId, name: "web", request: to, ...others })
const deleted = BlueprintDeleted.make({ blueprintId })

describe("a blueprint", () => {
  it("is created with its first version, once", () => {
    const command = CreateBlueprint.make({ blueprintId, name: "web", request: request() })
    given().when(command).then(created)
    given(created).when(command).thenNothing()
  })

  it("gets a version by another request, and none by the same", () => {
    const second = BlueprintChanged.make({ blueprintId, version: 2, request: request("aws") })
    given(created).when(change(request("aws"))).then(second)
    given(created).when(change(request())).thenNothing()
    given(created, second).when(change(request())).then(BlueprintChanged.make({ blueprintId, version: 3, request: request() }))
  })

  it("has name and description apart from its versions", () => {
    given(created).when(change(request(), { name: "front", description: "For the front" }))
      .then(BlueprintDescribed.make({ blueprintId, name: "front", description: "For the front" }))
    given(BlueprintCreated.make({ ...created, description: "Old" })).when(change(request())).then(BlueprintDescribed.make({ blueprintId, name: "web" }))
  })

  it("takes a secret that was sealed anew as the same, but not one that was sealed with another key", () => {
    const secret = BlueprintCreated.make({ ...created, request: withPassword("one") })
    given(secret).when(change(withPassword("one", { ciphertext: "other" }))).thenNothing()
    for (const other of [withPassword("two"), withPassword("one", { keyId: "lost" })]) {
      given(secret).when(change(other)).then(BlueprintChanged.make({ blueprintId, version: 2, request: other }))
    }
  })

  it("is not changed by somebody who has not seen its latest version", () => {
    given(created).when(change(request("aws"), { onlyAfter: 2 })).thenRejected(new BlueprintRejected({ reason: "Changed", version: 1 }))
    given(created).when(change(request("aws"), { onlyAfter: 1 })).then(BlueprintChanged.make({ blueprintId, version: 2, request: request("aws") }))
  })

  it("has no more versions than can be read at once", () => {
    const full = [created, BlueprintChanged.make({ blueprintId, version: mostVersions, request: request() })]
    given(...full).when(change(request("aws"))).thenRejected(new BlueprintRejected({ reason: "TooMany", version: mostVersions }))
    given(...full).when(change(request(), { name: "front" })).then(BlueprintDescribed.make({ blueprintId, name: "front" }))
  })

  it("is gone once it is deleted, and what never was cannot be", () => {
    given(created).when(DeleteBlueprint.make({ blueprintId })).then(deleted)
    for (const history of [[], [created, deleted]]) {
      const rejected = new BlueprintRejected({ reason: "NotFound", version: history.length === 0 ? 0 : 1 })
      given(...history).when(DeleteBlueprint.make({ blueprintId })).thenRejected(rejected)
      given(...history).when(change(request("aws"))).thenRejected(rejected)
    }
  })
})

describe("the name of a blueprint", () => {
  const name = specify(BlueprintNameDecider)
  const claim = (id: BlueprintId, unusedBy?: BlueprintId) => ClaimBlueprintName.make({ name: "web", blueprintId: id, ...(unusedBy !== undefined && { unusedBy }) })
  const claimed = (id: BlueprintId) => BlueprintNameClaimed.make({ name: "web", blueprintId: id })

  it("belongs to who came first, until it is released", () => {
    name.given().when(claim(blueprintId)).then(claimed(blueprintId))
    name.given(claimed(blueprintId)).when(claim(blueprintId)).thenNothing()
    name.given(claimed(blueprintId)).when(claim(otherId)).thenRejected(new BlueprintNameTaken({ by: blueprintId }))
    name.given(claimed(blueprintId), BlueprintNameReleased.make({ blueprintId })).when(claim(otherId)).then(claimed(otherId))
  })

  it("can be taken from who is known not to use it, and from nobody else", () => {
    name.given(claimed(blueprintId)).when(claim(otherId, blueprintId)).then(claimed(otherId))
    name.given(claimed(blueprintId)).when(claim(otherId, otherId)).thenRejected(new BlueprintNameTaken({ by: blueprintId }))
  })

  it("is released by its holder alone", () => {
    name.given(claimed(blueprintId)).when(ReleaseBlueprintName.make({ blueprintId })).then(BlueprintNameReleased.make({ blueprintId }))
    name.given(claimed(blueprintId)).when(ReleaseBlueprintName.make({ blueprintId: otherId })).thenNothing()
  })
})

describe("differences of two requests", () => {
  it("are said place by place, and of secrets only that they are others", () => {
    assert.deepStrictEqual(differencesOf(request(), { ...request("aws"), name: "x" }), [
      { path: "images[0].type", from: "\"guest-image\"", to: "\"aws\"" }, { path: "name", to: "\"x\"" }
    ])
    assert.deepStrictEqual(differencesOf(withPassword("one".repeat(5)), withPassword("two".repeat(5))), [
      { path: "customizations.users[0].password", from: "(secret oneoneon)", to: "(secret twotwotw)" }
    ])
    assert.deepStrictEqual(differencesOf(withPassword("one"), withPassword("one", { ciphertext: "other" })), [])
  })
})
