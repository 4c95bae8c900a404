import { stripVTControlCharacters } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Kiln, kilnAt } from "../../../apps/operator/client.ts"
import { Output, type OutputShape } from "../../../apps/operator/output.ts"
import { conclude, watchAsDocuments, watchCompose } from "../../../apps/operator/watch-compose.ts"
import { event, events, fakeService } from "./fake-service.ts"

const at = (second: number) => `2026-01-31T12:00:0${second}.000Z`
const job = (id: string, status: string, rest = {}) => ({ id, kind: id.split("-")[1], image: 0, status, attempt: 1, ...rest })
const status = (second: number, compose: string, jobs: ReadonlyArray<object>, rest = {}) =>
  event("status", { status: compose, at: at(second), revision: second, jobs, ...rest }, `${second}.0`)
const progress = (second: number, percent: number, done: number) =>
  event("progress", { job: "0-build", attempt: 1, at: at(second), stage: "packages", percent, bytes_done: done, bytes_total: 4 * 2 ** 20 })
const line = (text: string) => event("line", { job: "0-build", attempt: 1, at: at(4), text })

const begin = status(1, "pending", [job("0-build", "queued"), job("0-upload-0", "waiting")])
  + status(2, "running", [job("0-build", "running", { worker: "local" })])
  + progress(2, 10, 0) + progress(3, 50.7, 2 ** 20) + line("Unpacking \u001b[31mvim") + line("E: no space")
const failure = { class: "platform", message: "the disk is full", excerpt: "from the excerpt" }
const failed = begin
  + status(5, "failed", [job("0-build", "failed", { failure }), job("0-upload-0", "skipped")], { failure })
  + event("end", { status: "failed", failure })
const succeeded = begin
  + status(6, "running", [job("0-build", "succeeded")])
  + status(7, "succeeded", [job("0-upload-0", "succeeded")])
  + event("end", { status: "succeeded" })

const watched = Effect.fnUntraced(function*(stream: string, output: Partial<OutputShape> = {}, json = false) {
  const service = yield* fakeService(events(stream))
  const written: Array<string> = []
  const shape: OutputShape = {
    json: false, utc: true, terminal: false, colours: false, columns: () => 80, writeError: () => {},
    write: (text) => void written.push(text), ...output
  }
  const ended = yield* (json ? watchAsDocuments("c1") : watchCompose("c1")).pipe(
    Effect.flatMap((live) => conclude("c1", live)),
    Effect.result,
    Effect.provideService(Output, shape),
    Effect.provideService(Kiln, kilnAt({ url: service.url, token: "t" }))
  )
  return { ended, text: written.join(""), lines: written.join("").split("\n").map((each) => each.replace(/^\d\d:\d\d:\d\d {2}/, "")) }
})

describe("watching", () => {
  it.live("says every change in a line where there is no terminal, and why it failed with the last lines", Effect.fnUntraced(function*() {
    const { ended, lines } = yield* watched(failed)
    assert.deepStrictEqual(lines.filter((each) => !each.includes("%")), [
      "build  running  on local",
      "compose running",
      "build  failed  3.0 s  platform: the disk is full",
      "compose failed",
      "  | Unpacking \ufffd[31mvim",
      "  | E: no space",
      ""
    ])
    assert.strictEqual(ended._tag === "Failure" ? ended.failure.code : 0, 1)
    assert.strictEqual(ended._tag === "Failure" ? ended.failure.message : "", "Compose c1 failed (platform) in build: the disk is full")
  }))

  it.live("says progress once a second at most", Effect.fnUntraced(function*() {
    const { lines } = yield* watched(failed)
    assert.lengthOf(lines.filter((each) => each.includes("%")), 1)
    assert.match(lines.find((each) => each.includes("%"))!, /^build {2} {1}10 % {2}packages {2}0 B of 4\.0 MiB/)
  }))

  it.live("draws on a terminal and leaves a line for each finished job", Effect.fnUntraced(function*() {
    const { ended, text } = yield* watched(succeeded, { terminal: true, colours: true })
    assert.strictEqual(ended._tag, "Success")
    const plain = stripVTControlCharacters(text)
    assert.include(plain, "✓ build     4.0 s")
    assert.include(plain, "✓ 0-upload-0")
    assert.isTrue(plain.endsWith("compose succeeded after 6.0 s\n"))
    assert.notInclude(text, "\u001b[31mvim")
    assert.isTrue(plain.split("\n").every((each) => each.length <= 80))
  }))

  it.live("colours nothing where colours are not wanted", Effect.fnUntraced(function*() {
    const { text } = yield* watched(failed, { terminal: true, colours: false })
    assert.notMatch(text, /\u001b\[\d+m/)
  }))

  it.live("shows the excerpt where no line was seen", Effect.fnUntraced(function*() {
    const { text } = yield* watched(status(5, "failed", [job("0-build", "failed", { failure })], { failure }) + event("end", { status: "failed" }))
    assert.include(text, "  | from the excerpt\n")
  }))

  it.live("gives programs every event as a document, and nothing else", Effect.fnUntraced(function*() {
    const { ended, text } = yield* watched(failed, { json: true }, true)
    const documents = text.trimEnd().split("\n").map((each) => JSON.parse(each) as { event: string })
    assert.deepStrictEqual(documents.map((each) => each.event), ["status", "status", "progress", "progress", "line", "line", "status", "end"])
    assert.strictEqual(ended._tag === "Failure" ? ended.failure.code : 0, 1)
  }))

  it.live("ends as canceled when it was", Effect.fnUntraced(function*() {
    const { ended } = yield* watched(event("end", { status: "canceled" }))
    assert.strictEqual(ended._tag === "Failure" ? ended.failure.code : 0, 3)
  }))
})
