import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { ScaleDriver } from "../../../domain/ports/scale-driver.ts"
import { InstanceGroupDriver } from "../../../infra/gcp/instance-group.ts"
import { instanceGroupsStandIn } from "../../support/gcp-instance-groups.ts"

const places = { zonal: { zone: "europe-west1-b" }, regional: { region: "europe-west1" } } as const

const make = (kind: keyof typeof places = "zonal", over: { readonly group?: string; readonly subject?: string } = {}) =>
  Effect.gen(function*() {
    const standIn = yield* instanceGroupsStandIn
    yield* Effect.acquireRelease(
      Effect.sync(() => void (process.env["GOOGLE_APPLICATION_CREDENTIALS"] = standIn.credentials(over.subject))),
      () => Effect.sync(() => void delete process.env["GOOGLE_APPLICATION_CREDENTIALS"])
    )
    const settings = { type: "gcp", project: standIn.project, group: over.group ?? "builders", ...places[kind] } as const
    const context = yield* Layer.build(InstanceGroupDriver(settings, standIn.options))
    const driver = yield* Effect.provideContext(ScaleDriver, context)
    const group = standIn[kind]
    const running = (count: number) => Effect.sync(() => {
      group.targetSize = count
      standIn.advance()
      standIn.advance()
    })
    const asked = (call: string) => standIn.asked.filter((one) => one.call === call)
    return { ...standIn, driver, group, running, asked }
  })

for (const kind of ["zonal", "regional"] as const) {
  describe(`a pool on a ${kind} managed instance group`, () => {
    it.effect("grows to a number, never below what is there, and asks once for what holds already", () =>
      Effect.gen(function*() {
        const { advance, asked, driver, group } = yield* make(kind)
        yield* driver.grow(3)
        yield* driver.grow(3)
        yield* driver.grow(1)
        assert.strictEqual(group.targetSize, 3)
        assert.deepStrictEqual(asked("resize").map(({ query }) => query["size"]), ["3"])
        advance()
        assert.deepStrictEqual((yield* driver.list).map(({ state }) => state), ["starting", "starting", "starting"])
      }))

    it.effect("ends exactly the machines it is told, with the group's size, and passes over those that are gone", () =>
      Effect.gen(function*() {
        const { advance, asked, driver, group, running } = yield* make(kind)
        yield* running(3)
        const [one, two, three] = (yield* driver.list).map(({ id }) => id)
        yield* driver.remove([two!])
        yield* driver.remove([two!, one!])
        assert.strictEqual(group.targetSize, 1)
        assert.deepStrictEqual((yield* driver.list).map(({ state }) => state), ["stopping", "stopping", "running"])
        advance()
        assert.deepStrictEqual((yield* driver.list).map(({ id }) => id), [three!])
        assert.strictEqual(asked("resize").length, 0)
      }))
  })
}

describe("a managed instance group", () => {
  it.effect("shows its machines with their workers' names, page by page", () =>
    Effect.gen(function*() {
      const { driver, group, running } = yield* make("regional")
      yield* running(501)
      const list = yield* driver.list
      assert.strictEqual(list.length, 501)
      const { name, zone } = group.machines[1]!
      assert.deepStrictEqual(list[1], { id: `zones/${zone}/instances/${name}`, worker: name, state: "running" })
    }))

  it.effect("is reached as soon as there are credentials, and until then the failure says what is missing", () =>
    Effect.gen(function*() {
      const { credentials, driver } = yield* make()
      process.env["GOOGLE_APPLICATION_CREDENTIALS"] = "/nowhere/credentials.json"
      for (const again of [1, 2]) assert.include((yield* Effect.flip(driver.list)).message, "/nowhere/credentials.json", String(again))
      process.env["GOOGLE_APPLICATION_CREDENTIALS"] = credentials()
      assert.deepStrictEqual(yield* driver.list, [])
    }))

  it.effect("is not asked when nobody has to go", () =>
    Effect.gen(function*() {
      const { asked, driver } = yield* make()
      yield* driver.remove([])
      assert.strictEqual(asked("deleteInstances").length, 0)
    }))

  it.effect("fails with the service's own words: a group that is not there, an operation that failed, a token refused", () =>
    Effect.gen(function*() {
      const nobodys = yield* make("zonal", { group: "nobodys" })
      const missing = yield* Effect.flip(nobodys.driver.list)
      assert.deepInclude(missing, { _tag: "ScaleFailed", driver: "gcp", operation: "list", code: "5" })
      assert.include(missing.message, "was not found")
      const { driver, failOperationWith } = yield* make()
      failOperationWith("QUOTA_EXCEEDED", "Quota 'CPUS' exceeded.  Limit: 24.0 in region europe-west1.")
      assert.deepInclude(yield* Effect.flip(driver.grow(2)), { operation: "grow", code: "QUOTA_EXCEEDED", message: "Quota 'CPUS' exceeded.  Limit: 24.0 in region europe-west1." })
      const stranger = yield* make("zonal", { subject: "a stranger" })
      assert.include((yield* Effect.flip(stranger.driver.list)).message, "subject_token is wrong")
    }))
})
