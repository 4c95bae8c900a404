/** The whole stack as processes of its own, killed without a word while it works: nothing is lost, doubled or stuck. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { startStack } from "../../apps/standalone/stack.ts"
import { ComposeId } from "../../domain/ids.ts"
import { projections } from "../../projections/all.ts"
import { project } from "../../projections/projection.ts"
import { chaos, lostAfter } from "../chaos/chaos.ts"
import type { Promised } from "../chaos/clients.ts"
import { asksOf, killsOf } from "../chaos/plan.ts"
import { type Evidence, isWell, type Verdict, verdictOf } from "../chaos/verdict.ts"
import { composeId, failed, finished, jobs, recordedOf, started, succeeded, tenantId, wholeLife } from "../support/composes.ts"
import { temporaryFolder } from "../support/servers.ts"

describe("a stack under fire", () => {
  it.live("given tenants at work, when processes are killed -9 at random, then all that was promised ends as it should, once, and the read models say so", () =>
    Effect.gen(function*() {
      const home = yield* temporaryFolder
      const env = { KILN_TEST_DISTRIBUTION: "1", KILN_LOST_AFTER: lostAfter, KILN_SLOTS: JSON.stringify({ resolve: 1, build: 4, upload: 4 }) }
      const stack = yield* startStack({ home, durable: false, workers: 2, env })
      const { composes, kills, refused, verdict } = yield* Effect.promise(() =>
        chaos(stack, { seed: 3, kills: 12, paceMs: 400, tenants: ["acme", "birch"], restMs: 90_000 }))
      assert.isAbove(composes, 10)
      assert.strictEqual([...kills.values()].reduce((sum, count) => sum + count, 0), 12)
      assert.deepStrictEqual({ ...verdict, refused }, { lost: [], doubled: [], stuck: [], wrong: [], rows: [], refused: [] })
    }).pipe(Effect.scoped), 180_000)
})

describe("what a run is judged by", () => {
  const ask = { ...asksOf(1, tenantId).next().value, ends: "succeeded" } as const
  const promised: Promised = { ask, askedAt: 0, ids: [composeId], cancel: "none" }
  const evidenceOf = (log: Evidence["log"], change: Partial<Evidence> = {}): Evidence => {
    const recorded = log.filter((entry) => entry._tag === "Recorded" && entry.aggregate === "compose")
    const rows = new Map([...projections.values()].map((projection) => [projection.name, [...project(projection, recorded).values()]]))
    return { promised: [promised], log, rows, left: [], ...change }
  }
  const life = recordedOf(wholeLife)
  const faultsOf = (evidence: Evidence) =>
    Object.entries(verdictOf(evidence)).filter(([, faults]) => faults.length > 0).map(([kind]) => kind)
  const other = ComposeId.make("01890000-0000-7000-8000-000000000002")

  it("finds nothing in a life without faults", () => assert.isTrue(isWell(verdictOf(evidenceOf(life)))))

  const planted: Record<string, readonly [Evidence, ReadonlyArray<keyof Verdict>]> = {
    "a promise that the log does not hold": [evidenceOf(life, { promised: [promised, { ...promised, ids: [other] }] }), ["lost"]],
    "a decision that is missing": [evidenceOf(life.filter(({ revision }) => revision !== 5)), ["lost", "wrong"]],
    "one key with two composes": [
      evidenceOf([...life, ...life.map((entry) => ({ ...entry, id: other }))], { promised: [{ ...promised, ids: [composeId, other] }] }), ["doubled"]
    ],
    "a compose that nobody was told of": [evidenceOf([...life, ...life.map((entry) => ({ ...entry, id: other, tenantId: "birch" as typeof tenantId }))]), ["doubled"]],
    "a revision that is there twice": [evidenceOf([...life, { ...life[3]!, messageId: "other" }]), ["doubled", "wrong"]],
    "an attempt that was started twice": [
      evidenceOf(recordedOf([...wholeLife.slice(0, 6), started(jobs.build), ...wholeLife.slice(6)])), ["doubled", "wrong"]
    ],
    "a job that succeeded twice": [
      evidenceOf(recordedOf([...wholeLife.slice(0, 7), succeeded(jobs.build), ...wholeLife.slice(7)])), ["doubled", "wrong"]
    ],
    "a word after the end": [evidenceOf(recordedOf([...wholeLife, finished("succeeded")])), ["doubled"]],
    "a compose without an end": [evidenceOf(recordedOf(wholeLife.slice(0, 9))), ["stuck"]],
    "a message on a queue": [evidenceOf(life, { left: ["1 messages are left on JOBS"] }), ["stuck"]],
    "another end than was asked for": [
      evidenceOf(recordedOf([...wholeLife.slice(0, 6), failed(jobs.build, 1, true), finished("failed")])), ["wrong"]
    ],
    "an entry that cannot be read": [
      evidenceOf([...life, { _tag: "Unreadable", position: { stream: "EVENTS", sequence: 99 }, subject: "events.x", reason: "odd" }]), ["wrong"]
    ],
    "a row that is missing": [evidenceOf(life, { rows: new Map(evidenceOf(life).rows).set("composes", []) }), ["rows"]],
    "a row that says something else": [
      evidenceOf(life, { rows: new Map(evidenceOf(life).rows).set("composes", [{ ...evidenceOf(life).rows.get("composes")![0]!, status: "running" }]) }), ["rows"]
    ]
  }
  for (const [name, [evidence, kinds]] of Object.entries(planted)) {
    it(`finds ${name}`, () => assert.deepStrictEqual(faultsOf(evidence), [...kinds]))
  }

  it("plans the same for the same seed", () => {
    const plan = (seed: number) => {
      const asks = asksOf(seed, tenantId)
      return [killsOf(seed, ["gateway", "worker"], 20, 1000), Array.from({ length: 20 }, () => asks.next().value)]
    }
    assert.deepStrictEqual(plan(5), plan(5))
    assert.notDeepEqual(plan(5), plan(6))
  })
})
