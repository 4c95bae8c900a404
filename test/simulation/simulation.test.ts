import { assert, describe, it } from "@effect/vitest"
import type { AccountEvent } from "../../domain/account.ts"
import type { ComposeEvent } from "../../domain/compose-events.ts"
import { TenantId } from "../../domain/ids.ts"
import { accountRef, type Actor, composeRef, type Recorded } from "../../domain/recorded.ts"
import { Scheduler } from "../../domain/scheduling/scheduler.ts"
import { failed, finished, jobs, queued, requested, started, succeeded, tokenOf } from "../support/composes.ts"
import { heartbeatOf, queuedAs, recordedFor, share, speakerOf, start } from "../support/scheduling.ts"
import { Checks } from "./checks.ts"
import { FairnessWatch } from "./fairness.ts"
import { simulate } from "./simulate.ts"
import { Violation } from "./violation.ts"

/** `npm run simulate` does more of them. */
const seeds = 300

describe("the simulation", () => {
  it(`holds for ${seeds} seeds: nothing lost, doubled or stuck, quotas exact, turns fair`, { timeout: 300_000 }, () => {
    let composes = 0
    for (let seed = 1; seed <= seeds; seed++) {
      const { last, violation, ...result } = simulate(seed)
      assert.isUndefined(violation, `seed ${seed}; again with: npm run simulate -- --seed ${seed}\n${last.join("\n")}`)
      composes += result.composes
    }
    assert.isAbove(composes, 5 * seeds)
  })
  it("does the same for the same seed, step by step, and something else for another", () => {
    const hashes = [1, 2, 3, 4, 5].map((seed) => simulate(seed).hash)
    assert.deepStrictEqual([1, 2, 3, 4, 5].map((seed) => simulate(seed).hash), hashes)
    assert.strictEqual(new Set(hashes).size, 5)
  })
})

const tenantId = TenantId.make("acme")
const position = { stream: "EVENTS", sequence: 1 }
const system: Actor = { kind: "system", id: "test" }
const ofCompose = (event: ComposeEvent, messageId = "m", actor = system): Recorded<"compose"> =>
  ({ _tag: "Recorded", ...composeRef(tenantId, event.composeId), messageId, at: start as never, actor, position, revision: 1, events: [event] })
const ofAccount = (event: AccountEvent): Recorded<"account"> =>
  ({ _tag: "Recorded", ...accountRef(tenantId), messageId: "m", at: start as never, actor: system, position, revision: 1, events: [event] })
const checksAfter = (events: ReadonlyArray<ComposeEvent>) => {
  const checks = new Checks(() => ({}))
  for (const event of events) checks.entry(ofCompose(event))
  return checks
}
const assertFound = (run: () => void, what: RegExp) => {
  try {
    run()
  } catch (error) {
    assert.instanceOf(error, Violation)
    return assert.match((error as Error).message, what)
  }
  assert.fail(`nobody found that ${what.source}`)
}

describe("its checks find", () => {
  const running = [requested, queued(jobs.resolve), started(jobs.resolve)]
  const finds = (events: ReadonlyArray<ComposeEvent>, event: ComposeEvent, what: RegExp) =>
    assertFound(() => checksAfter(events).entry(ofCompose(event)), what)
  it("a job that runs twice, or is started out of turn", () => {
    finds(running, started(jobs.resolve), /runs twice at once/)
    finds([requested, queued(jobs.resolve)], started(jobs.resolve, 2), /was not queued/)
    finds(running, queued(jobs.resolve, 2), /queued while it is queued or runs/)
  })
  it("words about an attempt that is over", () => {
    finds([...running, failed(jobs.resolve, 1, true), finished("failed")], succeeded(jobs.resolve), /after its end/)
    finds([...running, failed(jobs.resolve, 1, false), queued(jobs.resolve, 2)], succeeded(jobs.resolve), /not the current attempt/)
  })
  it("an effect that comes twice", () =>
    finds([...running, succeeded(jobs.resolve), queued(jobs.resolve, 2), started(jobs.resolve, 2)], succeeded(jobs.resolve, 2), /its effect 2 times/))
  it("somebody else's word", () => {
    const actor: Actor = { kind: "worker", id: "default/w1" }
    const say = (token: string, by: Actor) => () => checksAfter(running).entry(ofCompose(succeeded(jobs.resolve), `${jobs.resolve}/${token}/AttemptSucceeded`, by))
    assertFound(say("a-stale-token", actor), /by somebody else's word/)
    assertFound(say(tokenOf(jobs.resolve, 1), { ...actor, id: "default/w2" }), /by another worker/)
    say(tokenOf(jobs.resolve, 1), actor)()
  })
  it("one compose too many within a window, and none that was given back", () => {
    const checks = new Checks(() => ({ composes: [{ count: 2, windowMs: 1000 }] }))
    const reserve = (at: number, ...ids: ReadonlyArray<string>) =>
      checks.entry(ofAccount({ _tag: "QuotaReserved", at: at as never, rememberMs: 1000, composes: ids.map((composeId) => ({ composeId, bytes: 0 })) as never }))
    reserve(start, "c1", "c2")
    checks.entry(ofAccount({ _tag: "QuotaReleased", composeIds: ["c1"] as never, reason: "never-requested" }))
    reserve(start + 1, "c3")
    reserve(start + 1000, "c4")
    assertFound(() => reserve(start + 1000, "c5"), /3 composes of acme within 1000 ms/)
  })
  it("turns that are not fair", () => {
    const scheduler = new Scheduler({ shareOf: () => share, lostAfterMs: () => 30_000, deadlineMs: () => 1000, now: start })
    const watch = new FairnessWatch(scheduler, { weightOf: () => 1, violated: (what: string) => { throw new Violation(what) } } as never)
    const w1 = speakerOf("w1")
    scheduler.hear(w1, heartbeatOf({ build: 2 }), start)
    for (let compose = 1; compose <= 4; compose++) scheduler.record(recordedFor(compose < 4 ? "a" : "b", compose, queuedAs()), start)
    const [one, two, three] = [...scheduler.jobs.values()].filter((job) => job.tenantId === "a").map((job) => ({ job, speaker: w1 }))
    assertFound(() => watch.served([one!, two!, three!], () => Infinity), /2 jobs of a went before b's next build/)
    watch.served([one!, two!, three!], (tenant) => tenant === "b" ? 0 : Infinity)
    assertFound(() => watch.served(scheduler.due(start), () => 0), /limit: a job of a goes while 0 run/)
  })
})
