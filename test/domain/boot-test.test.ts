/** A compose whose image is booted before it counts as good. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { FailJob, LoseJob, RequestCompose, RetryCompose, ReturnJob, SucceedJob } from "../../domain/compose-commands.ts"
import { ComposeEvent, ComposeReopened, ImageGone, JobFailed, JobReturned } from "../../domain/compose-events.ts"
import { endingOf } from "../../domain/compose-ending.ts"
import { TestRequest } from "../../domain/boot-test.ts"
import { ComposeDecider } from "../../domain/compose.ts"
import { fold } from "../../domain/decider.ts"
import { Millis } from "../../domain/ids.ts"
import { buildKeyText, manifestOf } from "../../domain/manifest.ts"
import {
  boot, claim, composeId, digest, failed, finished, image, jobs, outcomes, queued, report, request, requestCompose, requested, started, succeeded, worker
} from "../support/composes.ts"
import { specify } from "../support/specify.ts"

const { given } = specify(ComposeDecider)
const { build, resolve, test, upload } = jobs
const chance = { now: Millis.make(1_790_000_000_000), jitter: 0 }
const asked = { ...requested, tests: [0] }
const held = { held: { worker, digest } }
const queuedTest = (attempt = 1, notBefore?: number) => ({ ...queued(test, attempt, notBefore), ...held })
const queuedUpload = { ...queued(upload), ...held }
const built = [asked, queued(resolve), started(resolve), succeeded(resolve), queued(build), started(build), succeeded(build), queuedTest(), queuedUpload]
const delivered = [...built, started(upload), succeeded(upload)]
const testing = [...delivered, started(test)]
const notPassed = { class: "platform" as const, message: "boot test: in UEFI: not ready within 300 s" }
const verdict = { accelerator: "tcg" as const, boots: [{ ...boot, passed: false }] }
const failWithVerdict = (attempt = 1) => FailJob.make({ ...claim(test, attempt), ...chance, failure: notPassed, report: verdict })
const failedWithVerdict = (attempt = 1) => JobFailed.make({ composeId, jobId: test, attempt, failure: notPassed, final: true, report: verdict })

describe("a boot test", () => {
  it("is in the plan of the images that the request names, beside the uploads and after the build", () => {
    given().when(RequestCompose.make({ ...requestCompose, tests: [0] })).then(asked, queued(resolve))
    given(...built.slice(0, 6)).when(SucceedJob.make({ ...claim(build), outcome: outcomes.build })).then(succeeded(build), queuedTest(), queuedUpload)
  })
  it("is in no plan of before, which says nothing of tests", () => {
    const old = JSON.parse(JSON.stringify(Schema.encodeSync(ComposeEvent)(requested)))
    assert.notProperty(old, "tests")
    const compose = fold(ComposeDecider, [Schema.decodeUnknownSync(ComposeEvent)(old)])
    assert.deepStrictEqual([...compose.jobs.keys()], [resolve, build, upload])
  })
  it("holds the compose open until it has passed", () => {
    given(...built, started(upload)).when(SucceedJob.make({ ...claim(upload), outcome: outcomes.upload })).then(succeeded(upload))
    given(...testing).when(SucceedJob.make({ ...claim(test), outcome: outcomes.test })).then(succeeded(test), finished("succeeded"))
  })
  it("that nobody could carry out is no failure", () => {
    const skipped = { _tag: "Tested", verdict: "skipped", reason: "install ovmf" } as const
    given(...testing).when(SucceedJob.make({ ...claim(test), outcome: skipped }))
      .then({ ...succeeded(test), outcome: skipped }, finished("succeeded"))
  })
  it("that is not passed fails the compose at once, and what was delivered stays delivered", () => {
    given(...testing).when(failWithVerdict()).then(failedWithVerdict(), finished("failed"))
    const { jobs: after, outcomes } = fold(ComposeDecider, [...testing, failedWithVerdict(), finished("failed")])
    assert.deepStrictEqual([after.get(upload)?.state, outcomes.get(upload)?._tag], ["succeeded", "Uploaded"])
  })
  it("that could not be carried out is tried again, like any job", () =>
    given(...testing).when(FailJob.make({ ...claim(test), ...chance, failure: { class: "platform", message: "no space left" } }))
      .then(failed(test, 1, false), queuedTest(2, chance.now + 500)))
  it("is carried out again, and alone, when somebody asks for that", () =>
    given(...testing, failedWithVerdict(), finished("failed")).when(RetryCompose.make({ composeId, jobId: test }))
      .then(ComposeReopened.make({ composeId }), queuedTest(2)))
  it("goes to another worker when its own is lost or leaves", () => {
    given(...testing).when(LoseJob.make({ ...claim(test), ...chance, reason: "silence" })).then({ _tag: "JobLost", composeId, jobId: test, attempt: 1, reason: "silence", final: false }, queuedTest(2))
    given(...testing).when(ReturnJob.make(claim(test))).then(JobReturned.make({ composeId, jobId: test, attempt: 1 }), queuedTest())
  })
  it("that finds no image has it built again, and waits for it", () => {
    const gone = ImageGone.make({ composeId, image: 0, digest })
    const missing = { class: "platform" as const, message: "nowhere" }
    const rebuilding = [...testing, failed(test, 1, false, missing), gone, queued(build, 2)]
    given(...testing).when(FailJob.make({ ...claim(test), ...chance, failure: missing, imageGone: true })).then(failed(test, 1, false, missing), gone, queued(build, 2))
    given(...rebuilding, started(build, 2)).when(SucceedJob.make({ ...claim(build, 2), outcome: outcomes.build })).then(succeeded(build, 2), queuedTest(2))
  })
  it("that is not passed uses up quota like any work that was done, whoever is to blame", () => {
    assert.isFalse(endingOf([...testing, failedWithVerdict(), finished("failed")]).byPlatform)
    assert.isTrue(endingOf([...testing, failed(test, 3, true), finished("failed")]).byPlatform)
  })
  it("does not matter to what is built", () => {
    const keyOf = (test?: typeof TestRequest.Type) =>
      buildKeyText(manifestOf("debian", { distribution: "debian-13", image: { ...image, ...(test !== undefined && { test }) }, customizations: {} }, undefined))
    for (const test of [true, false, { script: "true" }]) assert.strictEqual(keyOf(test), keyOf())
    assert.deepStrictEqual(request.images[0], image)
  })
  it("is asked for with bounds", () => {
    const decode = Schema.decodeUnknownOption(TestRequest)
    for (const good of [true, false, {}, { firmware: ["bios"], timeout_seconds: 60, script: "exit 0", ports: ["22:tcp", "53:udp"] }]) assert.isTrue(decode(good)._tag === "Some", JSON.stringify(good))
    for (const bad of ["yes", { firmware: [] }, { firmware: ["uefi", "uefi"] }, { timeout_seconds: 4 }, { script: "" }, { script: "a\u0000b" }, { ports: ["22"] }, { ports: ["0:tcp"] }]) {
      assert.isTrue(decode(bad)._tag === "None", JSON.stringify(bad))
    }
  })
  it("keeps its report through the log", () => {
    const event = failedWithVerdict()
    assert.deepStrictEqual(Schema.decodeUnknownSync(ComposeEvent)(JSON.parse(JSON.stringify(Schema.encodeSync(ComposeEvent)(event)))), event)
    assert.deepStrictEqual(outcomes.test.report, report)
  })
})
