import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { ScaleDriver } from "../../../domain/ports/scale-driver.ts"
import { AutoScalingDriver } from "../../../infra/aws/auto-scaling.ts"
import { autoScalingStandIn, signedFor } from "../../support/aws-auto-scaling.ts"

const make = (settings: { readonly group?: string } = {}) =>
  Effect.gen(function*() {
    const standIn = yield* autoScalingStandIn
    const context = yield* Layer.build(AutoScalingDriver(
      { type: "aws", group: "builders", region: signedFor.region, ...settings },
      { endpoint: standIn.endpoint, credentials: signedFor, maxAttempts: 1 }
    ))
    const driver = yield* Effect.provideContext(ScaleDriver, context)
    const running = (count: number) => Effect.sync(() => {
      standIn.group.desired = count
      standIn.advance()
      standIn.advance()
      return standIn.group.machines.map(({ id }) => id)
    })
    const actions = () => standIn.asked.map(({ Action }) => Action).filter((action) => action !== "DescribeAutoScalingGroups")
    return { ...standIn, driver, running, actions }
  })

describe("a pool on AWS Auto Scaling", () => {
  it.effect("grows to a number, never below what is there, and asks once for what holds already", () =>
    Effect.gen(function*() {
      const { actions, advance, driver, group } = yield* make()
      yield* driver.grow(3)
      yield* driver.grow(3)
      yield* driver.grow(1)
      assert.strictEqual(group.desired, 3)
      assert.deepStrictEqual(actions(), ["SetDesiredCapacity"])
      advance()
      assert.deepStrictEqual((yield* driver.list).map(({ state }) => state), ["starting", "starting", "starting"])
    }))

  it.effect("shows its machines with their workers' names, states and protection", () =>
    Effect.gen(function*() {
      const { driver, group, running } = yield* make()
      const [one, two] = yield* running(2)
      group.machines[0]!.protected = true
      group.machines[1]!.state = "Terminating"
      assert.deepStrictEqual(yield* driver.list, [
        { id: one!, worker: one!, state: "running", protected: true },
        { id: two!, worker: two!, state: "stopping" }
      ])
    }))

  it.effect("ends exactly the machines it is told, with the group's size, and none twice", () =>
    Effect.gen(function*() {
      const { actions, advance, driver, group, running } = yield* make()
      const [one, two, three] = yield* running(3)
      yield* driver.remove([two!])
      yield* driver.remove([two!, "i-gone"])
      assert.strictEqual(group.desired, 2)
      assert.deepStrictEqual(actions(), ["TerminateInstanceInAutoScalingGroup"])
      advance()
      assert.deepStrictEqual((yield* driver.list).map(({ id }) => id), [one!, three!])
    }))

  it.effect("protects machines by fifties, and lets them go again", () =>
    Effect.gen(function*() {
      const { actions, driver, group, running } = yield* make()
      const ids = yield* running(60)
      yield* driver.protect(ids, true)
      assert.isTrue(group.machines.every((machine) => machine.protected))
      assert.strictEqual(actions().length, 2)
      yield* driver.protect(ids.slice(0, 1), false)
      assert.deepStrictEqual((yield* driver.list).filter((machine) => machine.protected === false).map(({ id }) => id), [ids[0]!])
    }))

  it.effect("fails with the service's own code and words", () =>
    Effect.gen(function*() {
      const { driver, failWith, group, running } = yield* make()
      const beyond = yield* Effect.flip(driver.grow(9))
      assert.deepInclude(beyond, { _tag: "ScaleFailed", driver: "aws", operation: "grow", code: "ValidationError" })
      assert.include(beyond.message, "is above max value 5")
      failWith("ResourceContention", "You already have a pending update to this resource")
      assert.deepInclude(yield* Effect.flip(driver.list), { code: "ResourceContentionFault", operation: "list" })
      const ids = yield* running(1)
      group.min = 1
      assert.include((yield* Effect.flip(driver.remove(ids))).message, "min size constraint")
    }))

  it.effect("says so where there is no such group", () =>
    Effect.gen(function*() {
      const { driver } = yield* make({ group: "nobodys" })
      assert.include((yield* Effect.flip(driver.list)).message, "no Auto Scaling group nobodys")
    }))
})
