/** Boots an image in each firmware it has to boot in, and judges what it says of itself. */
import { createHash } from "node:crypto"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { createWriteStream } from "node:fs"
import { finished } from "node:stream/promises"
import { Effect, Schema, Stream } from "effect"
import { judge, looksOf } from "../../domain/boot-checks.ts"
import type { Sha256 } from "../../domain/boot-checks-files.ts"
import type { Judged } from "../../domain/boot-checks-judged.ts"
import { type Firmware, insists, type TestOptions, testOptionsOf, WorkTestReport } from "../../domain/boot-test.ts"
import { Failure } from "../../domain/job.ts"
import { Artifacts } from "../../domain/ports/artifacts.ts"
import { HeldImages } from "../../domain/ports/held-images.ts"
import { BuildFailed, ImageBuilders, type Report } from "../../domain/ports/image-builder.ts"
import { type Booted, ImageTests } from "../../domain/ports/image-tests.ts"
import { WorkOutcome, type WorkItem } from "../../domain/work.ts"
import { ImageMissing } from "./image-missing.ts"

const { Tested } = WorkOutcome.cases

/** It was carried out, and the image did not pass: another try would end the same way. */
export class TestFailed extends Schema.TaggedError<TestFailed>()("TestFailed", { failure: Failure, report: WorkTestReport }) {}

export const testImage = Effect.fnUntraced(function*(item: WorkItem, workspace: string, report: Report) {
  const { artifact, customizations, image } = item
  if (artifact === undefined) return yield* new BuildFailed({ class: "platform", message: "there is nothing to test" })
  const tests = yield* ImageTests
  const options = testOptionsOf(image.test)
  const wanted: ReadonlyArray<Firmware> = options.firmware ?? (image.architecture === "aarch64" ? ["uefi"] : ["uefi", "bios"])
  const whyNot = yield* Effect.forEach(wanted, (firmware) => tests.impossible({ architecture: image.architecture, firmware, format: artifact.format }))
  const reason = [...new Set(whyNot.filter((why) => why !== undefined))].join("; ")
  if (reason !== "" && insists(image.test)) return yield* new BuildFailed({ class: "platform", message: `this worker cannot test the image: ${reason}` })
  const able = wanted.filter((_, at) => whyNot[at] === undefined)
  if (able.length === 0) return Tested.make({ verdict: "skipped", reason })

  const path = yield* imageFile(item, workspace)
  const answers = (yield* ImageBuilders).builders.get(item.builder)?.answersTests === true
  const boots = yield* Effect.forEach(able, Effect.fnUntraced(function*(firmware, at) {
    const booted = yield* tests.boot({
      path, format: artifact.format, architecture: image.architecture, firmware, answers,
      ...(options.timeout_seconds !== undefined && { timeoutMs: options.timeout_seconds * 1000 }),
      ...looksOf(customizations),
      ...(options.script !== undefined && { script: options.script })
    }, workspace, within(report, firmware, at, able.length))
    return boot(firmware, booted, verdictOf(item, options, booted))
  }))
  const tested: WorkTestReport = { accelerator: boots[0]!.booted.accelerator, boots: boots.map(({ said }) => said) }
  const failed = boots.filter(({ said }) => !said.passed)
  for (const { said } of boots) for (const line of lines(said)) report.line(line)
  if (failed.length > 0) return yield* new TestFailed({ failure: failureOf(failed), report: tested })
  return Tested.make({ verdict: "passed", report: tested, ...(reason !== "" && { reason }) })
}, Effect.catchTag(["HeldImagesUnavailable", "ArtifactsUnavailable"], ({ message }) => new BuildFailed({ class: "platform", message })))

/** Where it was built, or, if its holder is gone, a copy of what was delivered already. */
const imageFile = Effect.fnUntraced(function*({ artifact }: WorkItem, workspace: string) {
  const { digest, size } = artifact!
  const held = yield* (yield* HeldImages).path(digest)
  if (held !== undefined) return held
  const artifacts = yield* Artifacts
  if ((yield* artifacts.size(digest)) !== size) return yield* new ImageMissing({ message: "the image to test is neither on this worker nor in the store" })
  const path = join(workspace, "image")
  const file = createWriteStream(path)
  yield* Stream.runForEach(artifacts.read(digest, 0, size - 1), (bytes) => Effect.promise(() => new Promise<void>((resolve) => void file.write(bytes, () => resolve()))))
  file.end()
  yield* Effect.tryPromise({ try: () => finished(file), catch: (error) => new BuildFailed({ class: "platform", message: `the image cannot be copied: ${(error as Error).message}` }) })
  return path
})

/** One boot's part of the whole. */
const within = (report: Report, firmware: Firmware, at: number, of: number): Report => ({
  line: (text) => report.line(text),
  progress: ({ percent, stage }) => report.progress({ stage: `${firmware}: ${stage}`, percent: (100 * at + percent) / of })
})

const sha256: Sha256 = (data, encoding) => createHash("sha256").update(data, encoding).digest("hex")

const verdictOf = ({ customizations }: WorkItem, options: TestOptions, { facts, problem, readyMs }: Booted): ReadonlyArray<Judged> => {
  const isReady: Judged = { name: "ready", passed: readyMs !== undefined, isOwn: false, ...(readyMs === undefined && { message: problem ?? "it was not" }) }
  if (readyMs === undefined) return [isReady]
  if (facts !== undefined) return [isReady, ...judge(customizations, options, facts, sha256)]
  const unasked = [
    ...(problem === undefined ? [] : [{ name: "answers", passed: false, isOwn: false, message: problem }]),
    ...(options.script === undefined ? [] : [{ name: "script", passed: false, isOwn: true, message: "nothing in the image could run it" }]),
    ...(options.ports ?? []).map((port) => ({ name: `port ${port}`, passed: false, isOwn: true, message: "nothing in the image could tell" }))
  ]
  return [isReady, ...unasked]
}

interface Boot {
  readonly booted: Booted
  readonly checks: ReadonlyArray<Judged>
  readonly said: WorkTestReport["boots"][number]
}

const boot = (firmware: Firmware, booted: Booted, checks: ReadonlyArray<Judged>): Boot => ({
  booted, checks,
  said: {
    firmware, passed: checks.every(({ passed }) => passed), tookMs: booted.tookMs, ...(booted.readyMs !== undefined && { readyMs: booted.readyMs }),
    checks: checks.slice(0, 1000).map(({ message, name, passed }) => ({ name, passed, ...(message !== undefined && { message }) })),
    console: gzipSync(booted.console).toString("base64"),
    ...(booted.screenshot && { screenshot: Buffer.from(booted.screenshot).toString("base64") })
  }
})

const lines = ({ checks, firmware, passed, readyMs }: Boot["said"]): ReadonlyArray<string> => [
  `${firmware}: ${readyMs === undefined ? "never ready" : `ready after ${(readyMs / 1000).toFixed(1)} s`}, ${checks.length} checks, ${passed ? "passed" : "not passed"}`,
  ...checks.filter((check) => !check.passed).map(({ message = "", name }) => `${firmware}: ${name}: ${message}`)
]

const consoleEnd = 2000

/** Whose fault it is decides what it costs, not whether it is tried again: that it never is. */
const failureOf = (failed: ReadonlyArray<Boot>): Failure => {
  const [{ booted, said }] = failed as [Boot]
  const wrong = failed.flatMap(({ checks }) => checks.filter(({ passed }) => !passed))
  const [{ message = "", name }] = wrong as [Judged]
  const first = message.split("\n")[0]!
  const others = said.checks.filter(({ passed }) => !passed).length - 1
  const which = failed.map(({ said }) => said.firmware.toUpperCase()).join(" and ")
  return {
    class: wrong.every(({ isOwn }) => isOwn) ? "user" : "platform",
    message: `boot test: in ${which}: ${name === "ready" ? "" : `${name}: `}${first}${others > 0 ? `, and ${others} more` : ""}`,
    excerpt: booted.console.slice(-consoleEnd) || message
  }
}
