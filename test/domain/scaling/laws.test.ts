/** What holds whatever the demand does: pools that live through random days. */
import { assert, describe, it } from "@effect/vitest"
import { decide, type Step } from "../../../domain/scaling/decide.ts"
import type { Instance } from "../../../domain/scaling/instance.ts"
import { nothingKnown, stepped } from "../../../domain/scaling/memory.ts"
import type { ScalingPolicy } from "../../../domain/scaling/policy.ts"
import { type Random, randomOf } from "../../chaos/random.ts"
import { busy, demandOf, idle, minute, policy, running, second, start } from "./pools.ts"

interface Look {
  readonly at: number
  readonly step: Step
  readonly before: ReadonlyArray<Instance>
  readonly busy: ReadonlySet<string>
}

/** A look each 10 seconds. Jobs are taken by any worker that is free, and take minutes; new workers take a while to be heard. */
const live = (random: Random, rules: ScalingPolicy, builds: (at: number) => number | undefined, looks: number): ReadonlyArray<Look> => {
  const seen: Array<Look> = []
  let [instances, memory, made]: [Array<Instance>, typeof nothingKnown, number] = [[], nothingKnown, 0]
  const [idleSince, busyUntil] = [new Map<string, number>(), new Map<string, number>()]
  for (let look = 0; look < looks; look++) {
    const now = start + look * 10 * second
    instances = instances.filter(({ state }) => state !== "stopping" || random.chance(0.5))
      .map((instance) => instance.state === "starting" && random.chance(0.3) ? { ...instance, state: "running" } : instance)
    const wanted = builds(now)
    const heard = instances.filter(({ state }) => state === "running")
    for (const { id } of heard) {
      if ((busyUntil.get(id) ?? 0) <= look) busyUntil.delete(id)
      if (!busyUntil.has(id) && busyUntil.size < (wanted ?? 0) && random.chance(0.7)) busyUntil.set(id, look + random.between(1, 30))
      if (busyUntil.has(id)) idleSince.delete(id)
      else if (!idleSince.has(id)) idleSince.set(id, now)
    }
    const working = new Set(busyUntil.keys())
    const workers = heard.map(({ id }) => working.has(id) ? busy(id) : idle(id, now - idleSince.get(id)!, now))
    const plan = decide({ policy: rules, instances, memory, now, demand: wanted === undefined ? undefined : demandOf(Math.max(wanted, working.size), workers, now) })
    seen.push({ at: now, step: plan.step, before: instances, busy: working })
    memory = plan.step._tag === "Stay" ? plan.memory : stepped(plan.memory, now)
    if (plan.step._tag === "Remove") {
      const ids = new Set(plan.step.ids)
      instances = instances.map((instance) => ids.has(instance.id) ? { ...instance, state: "stopping" } : instance)
    } else if (plan.step._tag === "Grow") {
      const missing = plan.step.to - instances.filter(({ state }) => state !== "stopping").length
      instances = [...instances, ...Array.from({ length: missing }, () => running(`w${made++}`, { state: "starting" }))]
    }
  }
  return seen
}

const days = (run: (random: Random, rules: ScalingPolicy) => void) => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = randomOf(seed)
    const min = random.between(0, 4)
    run(random, { ...policy, min, max: min + random.between(0, 12), scaleInAfterSeconds: random.between(60, 900), cooldownSeconds: random.between(10, 120) })
  }
}

const wild = (random: Random) => () => random.chance(0.05) ? undefined : random.chance(0.1) ? random.between(0, 40) : random.between(0, 6)
const left = ({ before, step }: Look) => {
  const here = before.filter(({ state }) => state !== "stopping").length
  return step._tag === "Grow" ? step.to : step._tag === "Remove" ? here - step.ids.length : here
}

describe("whatever is wanted", () => {
  it("no busy worker is ever removed, and nobody twice", () =>
    days((random, rules) => {
      for (const { before, busy, step } of live(random, rules, wild(random), 1000)) {
        if (step._tag !== "Remove") continue
        for (const id of step.ids) {
          assert.isFalse(busy.has(id))
          assert.strictEqual(before.find((instance) => instance.id === id)?.state, "running")
        }
      }
    }))

  it("a pool stays within its least and its most", () =>
    days((random, rules) => {
      for (const look of live(random, rules, wild(random), 1000)) {
        assert.isAtLeast(left(look), rules.min)
        assert.isAtMost(left(look), rules.max)
      }
    }))

  it("two steps are a cooldown apart", () =>
    days((random, rules) => {
      const steps = live(random, rules, wild(random), 1000).filter(({ step }) => step._tag !== "Stay")
      for (const [at, { at: now }] of steps.entries()) {
        // What is missing to the least does not wait.
        if (at > 0 && steps[at - 1]!.before.length >= rules.min) assert.isAtLeast(now - steps[at - 1]!.at, rules.cooldownSeconds * second)
      }
    }))
})

describe("noise around a steady demand", () => {
  it("moves nothing: while as many are wanted again and again, nobody goes", () =>
    days((random, rules) => {
      const most = random.between(rules.min, rules.max + 1)
      const looks = live(random, rules, () => random.chance(0.3) ? most : random.between(0, most + 1), 1500)
      // As rare as it may be that the most is not wanted for as long as a worker may idle, it is no noise then.
      const after = looks.filter(({ at }) => at > start + 60 * minute)
      if (rules.scaleInAfterSeconds >= 600) assert.deepStrictEqual(after.filter(({ step }) => step._tag !== "Stay"), [])
    }))

  it("ends with as many as are wanted, and then nothing moves", () =>
    days((random, rules) => {
      const wanted = Math.min(rules.max, Math.max(rules.min, 3))
      const looks = live(random, rules, (at) => at < start + 20 * minute ? random.between(0, 9) : 3, 2000)
      const last = looks.at(-1)!
      assert.strictEqual(left(last), wanted)
      assert.isTrue(looks.slice(-60).every(({ step }) => step._tag === "Stay"))
      assert.isTrue(rules.max <= 3 || looks.some(({ step }) => step._tag === "Remove"))
    }))
})
