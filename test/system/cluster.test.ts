/** The whole stack on three NATS nodes, of which the one that leads the log is killed under load. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted } from "effect"
import { type Stack, startStack } from "../../apps/standalone/stack.ts"
import { CoreNats, CoreNatsLive } from "../../infra/jetstream/nats.ts"
import { chaos, lostAfter } from "../chaos/chaos.ts"
import { killsOf } from "../chaos/plan.ts"
import { temporaryFolder } from "../support/servers.ts"

const leaderOf = Effect.fnUntraced(function*({ natsCoreUrl, natsUrl }: Stack) {
  const { password, username } = new URL(Redacted.value(natsCoreUrl))
  const core = yield* Layer.build(CoreNatsLive({ servers: natsUrl, user: username, password: decodeURIComponent(password) }, "test"))
  return yield* Effect.promise(async () => (await Context.get(core, CoreNats).jsm.streams.info("EVENTS")).cluster!.leader!)
})

describe("a stack on a cluster of three NATS nodes", () => {
  it.live("given tenants at work, when the node that leads the log is killed -9, then all that was promised ends as it should, once, and the read models say so", () =>
    Effect.gen(function*() {
      const home = yield* temporaryFolder
      const env = { KILN_TEST_DISTRIBUTION: "1", KILN_LOST_AFTER: lostAfter, KILN_SLOTS: JSON.stringify({ resolve: 1, build: 4, upload: 4 }) }
      const stack = yield* startStack({ home, durable: false, natsNodes: 3, workers: 2, env })
      const leader = yield* leaderOf(stack)
      const { composes, kills, refused, verdict } = yield* Effect.promise(() =>
        chaos(stack, { seed: 2, kills: 1, paceMs: 1000, tenants: ["acme", "birch"], victims: [leader], restMs: 90_000 }))
      assert.isAbove(composes, 5)
      assert.deepStrictEqual([...kills], [[leader, 1]])
      assert.deepStrictEqual({ ...verdict, refused }, { lost: [], doubled: [], stuck: [], wrong: [], rows: [], refused: [] })
    }).pipe(Effect.scoped))
})

describe("the plan of a cluster's faults", () => {
  const nodes = ["nats-1", "nats-2", "nats-3", "gateway"]
  it("is the same for the same seed, and cuts off nodes of the cluster only", () => {
    const plan = killsOf(7, nodes, 60, 1000, true)
    assert.deepStrictEqual(plan, killsOf(7, nodes, 60, 1000, true))
    const cut = new Set(plan.filter(({ cutFor }) => cutFor !== undefined).map(({ name }) => name))
    assert.deepStrictEqual([...cut].sort(), ["nats-1", "nats-2", "nats-3"])
    for (const { cutFor } of plan) if (cutFor !== undefined) assert.isTrue(cutFor >= 5000 && cutFor < 20_000)
  })
  it("cuts off nobody unless asked to", () => assert.isTrue(killsOf(7, nodes, 60, 1000).every(({ cutFor }) => cutFor === undefined)))
})
