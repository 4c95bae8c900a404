/** The stand-in by itself: what it lets pass was asked as the API wants it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { request } from "node:https"
import { text } from "node:stream/consumers"
import { client, tenant } from "../../support/azure-authority.ts"
import { place, scaleSetsStandIn } from "../../support/azure-scale-sets.ts"

const root = `/subscriptions/${place.subscription}/resourceGroups/${place.resourceGroup}/providers/Microsoft.Compute/virtualMachineScaleSets/${place.scaleSet}`
const version = "?api-version=2026-04-01"

const make = Effect.gen(function*() {
  const standIn = yield* scaleSetsStandIn
  const send = (method: string, path: string, headers: Record<string, string> = {}, body?: string) =>
    Effect.callback<{ readonly status: number; readonly text: string }>((resume) => {
      const asked = request(`${standIn.base}${path}`, { method, headers, ca: standIn.ca, agent: false }, (response) =>
        void text(response).then((said) => resume(Effect.succeed({ status: response.statusCode!, text: said }))))
      asked.end(body)
    })
  const login = (client_secret: string) => send("POST", `/${tenant}/oauth2/v2.0/token`, {}, new URLSearchParams({
    client_id: client.id, client_secret, grant_type: "client_credentials", scope: "https://management.azure.com/.default"
  }).toString())
  const token = Effect.map(login(client.secret), (answer) => (JSON.parse(answer.text) as { readonly access_token: string }).access_token)
  const ask = (bearer: string, method: string, path: string, body?: object) =>
    Effect.map(send(method, path, { authorization: `Bearer ${bearer}` }, body && JSON.stringify(body)), ({ status }) => status)
  return { ...standIn, ask, login, send, token }
})

describe("the stand-in for scale sets", () => {
  it.effect("refuses who has no token of its own, and gives none for a wrong secret", () =>
    Effect.gen(function*() {
      const { ask, login, send, token } = yield* make
      assert.strictEqual((yield* login("a stranger's")).status, 401)
      assert.strictEqual((yield* send("GET", root + version)).status, 401)
      assert.strictEqual(yield* ask("made-up", "GET", root + version), 401)
      assert.strictEqual(yield* ask(yield* token, "GET", root + version), 200)
    }))

  it.effect("refuses what the API does not know or would not do", () =>
    Effect.gen(function*() {
      const { advance, ask, set, token } = yield* make
      const bearer = yield* token
      assert.strictEqual(yield* ask(bearer, "GET", root), 400)
      assert.strictEqual(yield* ask(bearer, "GET", `${root}s${version}`), 404)
      assert.strictEqual(yield* ask(bearer, "PATCH", root + version, { capacity: 3 }), 400)
      assert.strictEqual(yield* ask(bearer, "PATCH", root + version, { sku: { capacity: "3", name: "Standard_D4s_v5" } }), 400)
      assert.strictEqual(yield* ask(bearer, "POST", `${root}/delete${version}`, { instanceIds: ["nobody"] }), 400)
      assert.strictEqual(yield* ask(bearer, "POST", `${root}/delete${version}`, {}), 400)
      Object.assign(set, { capacity: 1, mode: "Flexible" })
      advance()
      assert.strictEqual(yield* ask(bearer, "PUT", `${root}/virtualMachines/${set.machines[0]!.instanceId}${version}`, { location: "westeurope", properties: {} }), 400)
    }))
})
