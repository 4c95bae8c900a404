import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { type Random, randomOf } from "../chaos/random.ts"
import { fold } from "../../domain/decider.ts"
import {
  AskBuild, CheckResult, DeclarePipeline, DelayBuild, DeletePipeline, EndBuild, EndCheck, PausePipeline, type PipelineCommand, PromoteBuild, RequestBuild, RequestCheck, ResumePipeline
} from "../../domain/pipeline-commands.ts"
import type { Millis } from "../../domain/ids.ts"
import { wordOf } from "../../domain/pipeline-copies.ts"
import { pipelineDifferences } from "../../domain/pipeline-differences.ts"
import { dueOf } from "../../domain/pipeline-due.ts"
import {
  BuildAsked, BuildDelayed, BuildEnded, BuildSkipped, CheckFailed, DifferenceFound, PipelineChanged, PipelineDeleted, type PipelineEvent, PipelinePaused, PipelinePromoted, PipelineResumed
} from "../../domain/pipeline-events.ts"
import { type Pipeline, PipelineDecider, PipelineRejected } from "../../domain/pipeline.ts"
import { after, bad, building, checking, declared, definition, failure, good, hour, idNo, means, packagesNo, promoted } from "../support/pipelines.ts"
import { specify } from "../support/specify.ts"

const { given } = specify(PipelineDecider)
const stateOf = (...events: ReadonlyArray<PipelineEvent>) => fold(PipelineDecider, events)
const due = (...events: ReadonlyArray<PipelineEvent>) => {
  const next = dueOf(stateOf(...events))
  return next && `${next.what} ${next.why} +${(next.at - after(0)) / hour}h`
}
const rejected = (reason: PipelineRejected["reason"]) => new PipelineRejected({ reason })
const every6h = { schedule: { everyMs: 6 * hour } }
const other = { ...definition, request: { ...definition.request, customizations: { packages: ["vim"] } } }
const build = (number: number, at: number, why: "first" | "request" | "packages" | "age" | "schedule" = "first") =>
  RequestBuild.make({ at: after(at), composeId: idNo(number), number, why })

describe("a pipeline", () => {
  it("is declared once, changed when it differs, and left alone otherwise", () => {
    const declare = (more: object = {}) => DeclarePipeline.make({ at: after(0), definition, means, ...more })
    given().when(declare()).then(declared())
    given(declared()).when(declare()).thenNothing()
    given(declared()).when(declare({ definition: other })).then(PipelineChanged.make({ at: after(0), definition: other, means }))
    given(declared(), PipelineDeleted.make({ at: after(1) })).when(declare()).then(declared())
  })

  it("is changed only from what somebody has seen, where that is said", () => {
    const declare = (version: number) => DeclarePipeline.make({ at: after(0), definition: other, means, version })
    given(declared()).when(declare(0)).thenRejected(rejected("Changed"))
    given(declared()).when(declare(1)).then(PipelineChanged.make({ at: after(0), definition: other, means }))
    given().when(declare(1)).thenRejected(rejected("Changed"))
  })

  it("builds at once, then by its schedule a check, which builds only if the packages differ", () => {
    assert.strictEqual(due(declared(every6h)), "build first +0h")
    given(declared(every6h)).when(build(1, 0)).then(building(1))
    const built = [declared(every6h), building(1), good(1, hour), promoted(1, hour)]
    assert.strictEqual(due(...built), "check schedule +6h")
    given(...built).when(RequestCheck.make({ at: after(6 * hour - 1), composeId: idNo(900) })).thenNothing()
    given(...built).when(RequestCheck.make({ at: after(6 * hour), composeId: idNo(900) })).then(checking(6 * hour))
    const same = EndCheck.make({ at: after(7 * hour), composeId: idNo(900), result: CheckResult.cases.Resolved.make({ packages: packagesNo(1) }) })
    const skipped = BuildSkipped.make({ at: after(7 * hour), composeId: idNo(900), why: "no-difference", packages: packagesNo(1) })
    given(...built, checking(6 * hour)).when(same).then(skipped)
    assert.strictEqual(due(...built, checking(6 * hour), skipped), "check schedule +12h")
    const different = { ...same, result: CheckResult.cases.Resolved.make({ packages: packagesNo(2) }) }
    const found = DifferenceFound.make({ at: after(7 * hour), composeId: idNo(900), packages: packagesNo(2) })
    given(...built, checking(6 * hour)).when(different).then(found)
    assert.strictEqual(due(...built, checking(6 * hour), found), "build packages +7h")
  })

  it("builds by its schedule where packages cannot be compared, and by nothing where it has none", () => {
    assert.strictEqual(due(declared(every6h, { resolves: false }), building(1), good(1, hour, undefined)), "build schedule +6h")
    assert.isUndefined(due(declared(), building(1), good(1)))
  })

  it("follows cron in its time zone, and clocks that are put forward and back", () => {
    const at = (timeZone: string, from: string) => {
      const state = stateOf({ ...declared({ schedule: { cron: "30 3 * * *", timeZone } }), at: Date.parse(from) as never }, { ...building(1), at: Date.parse(from) as never }, good(1))
      return new Date(dueOf(state)!.at).toISOString()
    }
    assert.strictEqual(at("UTC", "2026-03-28T12:00:00Z"), "2026-03-29T03:30:00.000Z")
    assert.strictEqual(at("Europe/Berlin", "2026-03-28T12:00:00Z"), "2026-03-29T01:30:00.000Z")
    assert.strictEqual(at("Europe/Berlin", "2026-10-24T12:00:00Z"), "2026-10-25T02:30:00.000Z")
  })

  it("replaces its last good build when that is too old; who cancels one has said: not now", () => {
    const aged = [declared({ maxAgeMs: 24 * hour }), building(1), good(1, hour)]
    assert.strictEqual(due(...aged), "build age +25h")
    assert.strictEqual(due(...aged, building(2, 25 * hour, "age"), BuildEnded.make({ at: after(26 * hour), number: 2, outcome: "canceled" })), "build age +49h")
  })

  it("builds again when it is declared as something else, but not when only its schedule is", () => {
    const built = [declared(every6h), building(1), good(1, hour)]
    const changed = (more: object) => PipelineChanged.make({ at: after(2 * hour), definition: { ...definition, ...every6h, ...more }, means })
    assert.strictEqual(due(...built, changed({ request: other.request })), "build changed +2h")
    assert.strictEqual(due(...built, changed({ schedule: { everyMs: hour } })), "check schedule +3h")
    assert.strictEqual(due(...built, changed({ keep: 3 })), "check schedule +6h")
  })

  it("builds once for all who ask before it begins, and once more for who asks later", () => {
    const ask = AskBuild.make({ at: after(hour) })
    const asked = BuildAsked.make({ at: after(hour) })
    const built = [declared(), building(1), good(1)]
    given(...built).when(ask).then(asked)
    given(...built, asked).when(ask).thenNothing()
    assert.isUndefined(due(...built, building(2, 0, "request"), asked))
    assert.strictEqual(due(...built, asked, building(2, hour, "request"), asked, good(2, hour)), "build request +1h")
    given().when(ask).thenRejected(rejected("NotFound"))
    given(...built, PipelinePaused.make({ at: after(0), by: "request" })).when(ask).thenRejected(rejected("Paused"))
  })

  it("asks for one build at a time, the next number, and only when it is due", () => {
    given(declared(), building(1)).when(build(2, hour)).thenNothing()
    given(declared()).when(build(2, 0)).thenNothing()
    given(declared()).when(build(1, 0, "age")).thenNothing()
    given(declared(), building(1), good(1), BuildAsked.make({ at: after(0) })).when(build(2, 0, "request")).then(building(2, 0, "request"))
    given(declared(), building(1), good(1), PipelineDeleted.make({ at: after(0) }), declared()).when(build(1, 0)).thenNothing()
  })
})

describe("a pipeline that fails", () => {
  const failing = (count: number) => Array.from({ length: count }, (_, at) => [building(at + 1, at * hour), bad(at + 1, at * hour)]).flat()
  it("waits twice as long each time, a day at most, and pauses itself", () => {
    const retry = { retryAfterMs: hour, pauseAfter: 9 }
    assert.deepStrictEqual([1, 2, 3, 6, 7].map((count) => due(declared(retry), ...failing(count))),
      ["build first +1h", "build first +3h", "build first +6h", "build first +29h", "build first +30h"])
    const ends = EndBuild.make({ at: after(2 * hour), number: 3, outcome: "failed", failure })
    given(declared({ pauseAfter: 3 }), ...failing(2), building(3)).when(ends).then(bad(3, 2 * hour), PipelinePaused.make({ at: after(2 * hour), by: "failures" }))
    given(declared({ pauseAfter: 4 }), ...failing(2), building(3)).when(ends).then(bad(3, 2 * hour))
  })

  it("counts checks that fail, and begins anew after what went well", () => {
    const built = [declared({ ...every6h, pauseAfter: 2, retryAfterMs: hour }), building(1), good(1)]
    const checkFails = CheckFailed.make({ at: after(6 * hour), composeId: idNo(900), failure })
    assert.strictEqual(due(...built, checking(6 * hour), checkFails), "check schedule +7h")
    const fails = EndCheck.make({ at: after(7 * hour), composeId: idNo(901), result: CheckResult.cases.Failed.make({ failure }) })
    given(...built, checking(6 * hour), checkFails, checking(7 * hour, 901)).when(fails)
      .then({ ...checkFails, at: after(7 * hour), composeId: idNo(901) }, PipelinePaused.make({ at: after(7 * hour), by: "failures" }))
    const skipped = BuildSkipped.make({ at: after(7 * hour), composeId: idNo(901), why: "no-difference", packages: packagesNo(1) })
    assert.strictEqual(stateOf(...built, checking(6 * hour), checkFails, checking(7 * hour, 901), skipped).failures, 0)
  })

  it("tries at once when it is resumed, and resumes by itself when what it builds is changed", () => {
    const paused = [declared({ pauseAfter: 1 }), building(1), bad(1), PipelinePaused.make({ at: after(0), by: "failures" })]
    assert.isUndefined(due(...paused))
    const resumed = PipelineResumed.make({ at: after(hour), by: "request" })
    given(...paused).when(ResumePipeline.make({ at: after(hour) })).then(resumed)
    assert.strictEqual(due(...paused, resumed), "build first +1h")
    const changes = DeclarePipeline.make({ at: after(hour), definition: { ...other, pauseAfter: 1 }, means })
    given(...paused).when(changes).then(PipelineChanged.make({ at: after(hour), definition: { ...other, pauseAfter: 1 }, means }), PipelineResumed.make({ at: after(hour), by: "change" }))
    const still = DeclarePipeline.make({ at: after(hour), definition: { ...definition, pauseAfter: 2 }, means })
    given(...paused).when(still).then(PipelineChanged.make({ at: after(hour), definition: { ...definition, pauseAfter: 2 }, means }))
    given(declared()).when(ResumePipeline.make({ at: after(0) })).thenNothing()
    given(declared()).when(PausePipeline.make({ at: after(0) })).then(PipelinePaused.make({ at: after(0), by: "request" }))
  })

  it("takes a failed build as good when its compose was tried again", () => {
    const again = EndBuild.make({ at: after(hour), number: 1, outcome: "good", packages: packagesNo(1) })
    given(declared(), building(1), bad(1)).when(again).then(good(1, hour), promoted(1, hour))
    assert.strictEqual(stateOf(declared(), building(1), bad(1), good(1, hour)).failures, 0)
    given(declared(), building(1), good(1)).when({ ...again, outcome: "failed" }).thenNothing()
  })
})

describe("a quota that is full", () => {
  const refusal = { rule: "composes", limit: 1, used: 1, until: after(hour) } as const
  const delay = DelayBuild.make({ at: after(0), why: "first", refusal })
  it("is said once, and the build still waits", () => {
    const delayed = BuildDelayed.make({ at: after(0), why: "first", refusal })
    given(declared()).when(delay).then(delayed)
    given(declared(), delayed).when(delay).thenNothing()
    assert.strictEqual(due(declared(), delayed), "build first +0h")
    assert.isUndefined(stateOf(declared(), delayed, building(1)).delayed)
  })
})

describe("what a pipeline's name stands for", () => {
  const two = [declared(), building(1), good(1), promoted(1), BuildAsked.make({ at: after(0) }), building(2, 0, "request")]
  it("moves with each good build and with no other, unless that is left to people", () => {
    const ends = EndBuild.make({ at: after(0), number: 2, outcome: "good", packages: packagesNo(1) })
    given(...two).when(ends).then(good(2), promoted(2))
    given(declared({ promotion: "manual" }), building(1)).when({ ...ends, number: 1 }).then(good(1))
    given(...two).when({ ...ends, outcome: "failed" }).then(BuildEnded.make({ at: after(0), number: 2, outcome: "failed", packages: packagesNo(1) }))
  })

  it("moves back to any good build, and to nothing else", () => {
    const promote = (number: number) => PromoteBuild.make({ at: after(0), number })
    given(...two, good(2), promoted(2)).when(promote(1)).then(PipelinePromoted.make({ at: after(0), number: 1, by: "request" }))
    given(...two, good(2), promoted(2)).when(promote(2)).thenNothing()
    given(...two).when(promote(2)).thenRejected(rejected("NotGood"))
    given(...two, bad(2)).when(promote(2)).thenRejected(rejected("NotGood"))
    given(...two).when(promote(3)).thenRejected(rejected("NoSuchBuild"))
  })

  it("is never removed, nor the last good one, nor the newest so many; what is older goes", () => {
    const rounds = [1, 2, 3, 4, 5].flatMap((number) => [building(number), number === 4 ? bad(4) : good(number), ...(number === 4 ? [] : [promoted(number)])])
    const words = (keep: number | undefined, ...more: ReadonlyArray<PipelineEvent>) => {
      const state = stateOf(declared(keep === undefined ? {} : { keep }), ...rounds, ...more)
      return [1, 2, 3, 4, 5, 6].map((number) => wordOf(state, idNo(number)))
    }
    assert.deepStrictEqual(words(2), ["goes", "goes", "stays", "goes", "stays", "usual"])
    assert.deepStrictEqual(words(1, promoted(1)), ["stays", "goes", "goes", "goes", "stays", "usual"])
    assert.deepStrictEqual(words(undefined, promoted(2)), ["usual", "stays", "usual", "usual", "stays", "usual"])
    assert.deepStrictEqual(words(1, building(6), bad(6)), ["goes", "goes", "goes", "goes", "stays", "usual"])
    assert.deepStrictEqual(words(1, PipelineDeleted.make({ at: after(0) })), ["usual", "usual", "usual", "usual", "usual", "usual"])
    assert.isUndefined(wordOf(PipelineDecider.initial, idNo(1)))
  })
})

describe("a change of a pipeline", () => {
  it("is told place by place, and secrets are not", () => {
    const sealed = (fingerprint: string) => ({ keyId: "k", nonce: "n", ciphertext: "c", fingerprint })
    const users = (fingerprint: string) => ({ ...definition.request, customizations: { users: [{ name: "ann", password: sealed(fingerprint) }] } })
    assert.deepStrictEqual(pipelineDifferences({ ...definition, request: users("aaaaaaaaaa"), keep: 2 }, { ...definition, request: users("bbbbbbbbbb"), schedule: { everyMs: 6 * hour } }), [
      { path: "compose.customizations.users[0].password", from: "(secret aaaaaaaa)", to: "(secret bbbbbbbb)" },
      { path: "keep", from: "2" },
      { path: "schedule.every", to: "\"6 hours\"" }
    ])
    assert.deepStrictEqual(pipelineDifferences(definition, definition), [])
  })
})

describe("laws of a pipeline", () => {
  /** Mostly what is due and how it ends, so that walks get somewhere; sometimes anything. */
  const walk = (seed: number, each: (command: PipelineCommand, state: Pipeline) => void) => {
    const random = randomOf(seed)
    let state = PipelineDecider.initial
    let time = 0
    for (let step = 0; step < 120; step++) {
      time += random.between(0, 5) * hour
      const at = after(time)
      const command = random.chance(0.7) ? likely(state, random, at) : anything(state, random, at)
      const decided = PipelineDecider.decide(command, state)
      if (Result.isFailure(decided)) continue
      state = fold(PipelineDecider, decided.success, state)
      each(command, state)
    }
  }
  const declare = (random: Random, at: Millis) => DeclarePipeline.make({
    at, means, definition: { ...random.pick([definition, other]), ...every6h, keep: random.between(1, 4), pauseAfter: 2, retryAfterMs: hour, maxAgeMs: 30 * hour }
  })
  const resolved = (random: Random) => CheckResult.cases.Resolved.make({ packages: packagesNo(random.between(1, 3)) })
  const likely = (state: Pipeline, random: Random, at: Millis): PipelineCommand => {
    const next = dueOf(state)
    if (state.status !== "declared") return declare(random, at)
    if (state.checking !== undefined) return EndCheck.make({ at, composeId: state.checking.composeId, result: random.chance(0.8) ? resolved(random) : CheckResult.cases.Failed.make({ failure }) })
    if (state.building !== undefined) {
      return EndBuild.make({ at, number: state.building, outcome: random.pick(["good", "good", "failed", "canceled", "never-requested"]), packages: packagesNo(random.between(1, 3)) })
    }
    if (next === undefined) return random.chance(0.5) ? ResumePipeline.make({ at }) : AskBuild.make({ at })
    const number = state.lastNumber + 1
    return next.what === "check" ? RequestCheck.make({ at, composeId: idNo(random.between(900, 999)) }) : RequestBuild.make({ at, composeId: idNo(number), number, why: next.why })
  }
  const anything = (state: Pipeline, random: Random, at: Millis): PipelineCommand => {
    const number = random.between(1, state.lastNumber + 3)
    return random.pick<() => PipelineCommand>([
      () => declare(random, at), () => AskBuild.make({ at }), () => PromoteBuild.make({ at, number }), () => PausePipeline.make({ at }), () => ResumePipeline.make({ at }),
      () => EndBuild.make({ at, number, outcome: random.pick(["good", "failed"]) }), () => RequestBuild.make({ at, composeId: idNo(number), number, why: "request" }),
      () => random.chance(0.1) ? DeletePipeline.make({ at }) : AskBuild.make({ at })
    ])()
  }
  const seeds = Array.from({ length: 60 }, (_, seed) => seed)

  it("a command decided twice adds nothing", () => {
    for (const seed of seeds) {
      walk(seed, (command, state) => {
        const again = PipelineDecider.decide(command, state)
        assert.deepStrictEqual(Result.isSuccess(again) ? again.success : [], [], `seed ${seed}, ${command._tag}`)
      })
    }
  })

  it("its name stands for a good build, which stays; one thing is under way at a time; numbers rise; what is paused does nothing", () => {
    const seen = new Set<string>()
    for (const seed of seeds) {
      walk(seed, (_, state) => {
        for (const build of [state.promoted, state.lastGood]) {
          assert.isTrue(build === undefined || build.outcome === "good", `seed ${seed}`)
          if (build !== undefined && state.status === "declared") assert.strictEqual(wordOf(state, build.composeId), "stays")
        }
        assert.isFalse(state.checking !== undefined && state.building !== undefined)
        if (state.paused !== undefined) assert.isUndefined(dueOf(state))
        const numbers = state.builds.map(({ number }) => number)
        assert.deepStrictEqual(numbers, [...new Set(numbers)].toSorted((one, two) => two - one))
        seen.add(`${state.status} ${state.paused?.by ?? ""} ${state.promoted !== undefined && state.promoted.number < (state.lastGood?.number ?? 0) ? "back" : ""}`)
      })
    }
    for (const way of ["declared failures ", "declared request ", "declared  back", "deleted  "]) assert.include([...seen], way)
  })

  it("declared, with a schedule and not paused, it always has something under way or to do", () => {
    for (const seed of seeds) {
      walk(seed, (_, state) => {
        if (state.status !== "declared" || state.paused !== undefined) return
        assert.isTrue(state.building !== undefined || state.checking !== undefined || dueOf(state) !== undefined, `seed ${seed}`)
      })
    }
  })

  it("what it is can be written as JSON and read again", () => {
    for (const seed of seeds) {
      walk(seed, (_, state) => {
        const read = JSON.parse(JSON.stringify(state)) as Pipeline
        assert.deepStrictEqual([JSON.stringify(read), dueOf(read)], [JSON.stringify(state), dueOf(state)])
      })
    }
  })
})
