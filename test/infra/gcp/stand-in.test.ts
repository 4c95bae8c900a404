/** The stand-in by itself: what it lets pass was asked as the API wants it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { instanceGroupsStandIn } from "../../support/gcp-instance-groups.ts"

const make = Effect.gen(function*() {
  const standIn = yield* instanceGroupsStandIn
  const base = `http://127.0.0.1:${standIn.options.port}`
  const exchange = (subject_token: string) => Effect.promise(() => fetch(`${base}/token`, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "urn:ietf:params:oauth:grant-type:token-exchange", audience: "//iam.example/pools/kiln", subject_token,
      requested_token_type: "urn:ietf:params:oauth:token-type:access_token", subject_token_type: "urn:ietf:params:oauth:token-type:jwt"
    })
  }).then((response) => response.json() as Promise<{ readonly access_token?: string }>))
  const ask = (path: string, token: string | undefined, body?: object, method = "POST") => Effect.promise(async () => {
    const response = await fetch(`${base}/compute/v1/projects/${standIn.project}/zones/europe-west1-b/instanceGroupManagers/${path}`, {
      method, ...(token !== undefined && { headers: { authorization: `Bearer ${token}` } }), ...(body !== undefined && { body: JSON.stringify(body) })
    })
    return response.status
  })
  return { ...standIn, ask, exchange }
})

describe("the stand-in for managed instance groups", () => {
  it.effect("refuses who has no token of its own, and gives none to a stranger", () =>
    Effect.gen(function*() {
      const { ask, exchange } = yield* make
      assert.isUndefined((yield* exchange("a stranger")).access_token)
      assert.strictEqual(yield* ask("builders", undefined, undefined, "GET"), 401)
      assert.strictEqual(yield* ask("builders", "ya29.made-up", undefined, "GET"), 401)
      const { access_token } = yield* exchange("subject-token-of-this-machine")
      assert.strictEqual(yield* ask("builders", access_token, undefined, "GET"), 200)
    }))

  it.effect("refuses what the API does not know or would not do", () =>
    Effect.gen(function*() {
      const { ask, exchange, zonal } = yield* make
      const { access_token: token } = yield* exchange("subject-token-of-this-machine")
      assert.strictEqual(yield* ask("nobodys", token, undefined, "GET"), 404)
      assert.strictEqual(yield* ask("builders/abandon", token), 404)
      assert.strictEqual(yield* ask("builders/resize", token), 400)
      assert.strictEqual(yield* ask("builders/resize?size=1&force=1", token), 400)
      assert.strictEqual(yield* ask("builders/deleteInstances", token, { instances: ["builders-1"] }), 400)
      assert.strictEqual(yield* ask("builders/deleteInstances", token, { instances: ["zones/z/instances/builders-1"] }), 400)
      assert.strictEqual(yield* ask("builders/deleteInstances", token, { instances: ["zones/z/instances/builders-1"], skipInstancesOnValidationError: true }), 200)
      assert.strictEqual(zonal.targetSize, 0)
    }))
})
