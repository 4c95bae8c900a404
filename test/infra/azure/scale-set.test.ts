import { ClientSecretCredential } from "@azure/identity"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { ScaleDriver } from "../../../domain/ports/scale-driver.ts"
import { ScaleSetDriver } from "../../../infra/azure/scale-set.ts"
import { client, tenant } from "../../support/azure-authority.ts"
import { place, scaleSetsStandIn } from "../../support/azure-scale-sets.ts"

const make = (over: { readonly scaleSet?: string; readonly secret?: string } = {}) =>
  Effect.gen(function*() {
    const standIn = yield* scaleSetsStandIn
    const { base, ca, set } = standIn
    const quick = { tlsOptions: { ca }, retryOptions: { maxRetries: 0 } }
    const credential = new ClientSecretCredential(tenant, client.id, over.secret ?? client.secret, { authorityHost: base, disableInstanceDiscovery: true, ...quick })
    const settings = { type: "azure", ...place, scaleSet: over.scaleSet ?? place.scaleSet } as const
    const context = yield* Layer.build(ScaleSetDriver(settings, { credential, options: { endpoint: base, ...quick } }))
    const driver = yield* Effect.provideContext(ScaleDriver, context)
    const running = (count: number, mode: typeof set.mode = "Uniform") => Effect.sync(() => {
      Object.assign(set, { capacity: count, mode })
      standIn.advance()
      standIn.advance()
    })
    return { ...standIn, driver, running }
  })

describe("a pool on an Azure scale set", () => {
  it.effect("grows to a number, never below what is there, and asks once for what holds already", () =>
    Effect.gen(function*() {
      const { advance, changes, driver, set } = yield* make()
      yield* driver.grow(4)
      yield* driver.grow(4)
      yield* driver.grow(1)
      assert.strictEqual(set.capacity, 4)
      assert.deepStrictEqual(changes().map(({ call }) => call), ["PATCH "])
      advance()
      assert.deepStrictEqual((yield* driver.list).map(({ state }) => state), ["starting", "starting", "starting", "starting"])
    }))

  it.effect("shows its machines, page by page, with names that workers may have", () =>
    Effect.gen(function*() {
      const { driver, running, set } = yield* make()
      yield* running(7)
      Object.assign(set.machines[0]!, { protected: true })
      Object.assign(set.machines[1]!, { state: "Deleting" })
      const list = yield* driver.list
      assert.strictEqual(list.length, 7)
      const [one, two] = set.machines
      assert.deepStrictEqual(list.slice(0, 2), [
        { id: one!.instanceId, worker: `builders-${one!.instanceId}`, state: "running", protected: true },
        { id: two!.instanceId, worker: `builders-${two!.instanceId}`, state: "stopping" }
      ])
    }))

  it.effect("shows machines of a flexible set by their own names, and knows no protection there", () =>
    Effect.gen(function*() {
      const { driver, running, set } = yield* make()
      yield* running(1, "Flexible")
      const { name } = set.machines[0]!
      assert.deepStrictEqual(yield* driver.list, [{ id: name, worker: name.toLowerCase().replace("_", "-"), state: "running" }])
    }))

  for (const mode of ["Uniform", "Flexible"] as const) {
    it.effect(`ends exactly the machines it is told, once, in a set of ${mode.toLowerCase()} orchestration`, () =>
      Effect.gen(function*() {
        const { advance, changes, driver, running, set } = yield* make()
        yield* running(5, mode)
        const ids = set.machines.map(({ instanceId }) => instanceId)
        yield* driver.remove([ids[1]!, ids[4]!])
        yield* driver.remove([ids[1]!, "gone"])
        assert.deepStrictEqual(changes(), [{ call: "POST /delete", body: { instanceIds: [ids[1], ids[4]] } }])
        assert.strictEqual(set.capacity, 3)
        advance()
        assert.deepStrictEqual((yield* driver.list).map(({ id }) => id), [ids[0]!, ids[2]!, ids[3]!])
      }))
  }

  it.effect("protects machines from scale-in and lets them go again", () =>
    Effect.gen(function*() {
      const { driver, running, set } = yield* make()
      yield* running(2)
      const ids = set.machines.map(({ instanceId }) => instanceId)
      yield* driver.protect(ids, true)
      yield* driver.protect([ids[0]!], false)
      assert.deepStrictEqual((yield* driver.list).map((machine) => machine.protected), [false, true])
    }))

  it.effect("fails with the service's own code and words", () =>
    Effect.gen(function*() {
      const { driver, failWith, running, set } = yield* make()
      yield* running(1)
      failWith("PATCH ", 409, "OperationNotAllowed", "Operation could not be completed as it results in exceeding approved standardDSv5Family Cores quota.")
      const quota = yield* Effect.flip(driver.grow(9))
      assert.deepInclude(quota, { _tag: "ScaleFailed", driver: "azure", operation: "grow", code: "OperationNotAllowed" })
      assert.include(quota.message, "exceeding approved standardDSv5Family Cores quota")
      failWith("POST /delete", 409, "Conflict", "Another operation is in progress.")
      assert.deepInclude(yield* Effect.flip(driver.remove([set.machines[0]!.instanceId])), { operation: "remove", code: "Conflict" })
      const nobodys = yield* make({ scaleSet: "nobodys" })
      assert.deepInclude(yield* Effect.flip(nobodys.driver.grow(1)), { operation: "grow", code: "ResourceNotFound" })
      const stranger = yield* make({ secret: "a stranger's" })
      assert.include((yield* Effect.flip(stranger.driver.list)).message, "AADSTS7000215")
    }))
})
