/** Builds of the same manifest at the same time, on one worker. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Result } from "effect"
import { afterEach, beforeEach } from "vitest"
import { handleJob } from "../../../apps/worker/handle-job.ts"
import { Artifacts } from "../../../domain/ports/artifacts.ts"
import { BuildFailed, ImageBuilders, type ImageBuilder } from "../../../domain/ports/image-builder.ts"
import { ImageContents } from "../../../domain/ports/image-contents.ts"
import { ImageTests } from "../../../domain/ports/image-tests.ts"
import { HeldImagesFiles } from "../../../infra/files/held-images-files.ts"
import { targetsOfTest } from "../../support/targets.ts"
import { itemNamed } from "./shared-item.ts"

let folder = ""
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kiln-shared-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** A builder that says when it has begun and then waits until it is told how to end. */
const slowBuilder = (alwaysBuilds = false) => {
  const runs: Array<{ readonly begun: Deferred.Deferred<void>; readonly end: Deferred.Deferred<void, BuildFailed> }> = []
  const next = () => ({ begun: Deferred.makeUnsafe<void>(), end: Deferred.makeUnsafe<void, BuildFailed>() })
  const expected = [next(), next(), next()]
  const builder: ImageBuilder = {
    name: "slow",
    ...(alwaysBuilds && { alwaysBuilds: true as const }),
    offers: [],
    obstacles: Effect.succeed(new Map()),
    resolve: () => Effect.die("nothing to resolve"),
    build: (_manifest, _secrets, workspace) =>
      Effect.gen(function*() {
        const run = expected[runs.length]!
        runs.push(run)
        yield* Deferred.succeed(run.begun, undefined)
        yield* Deferred.await(run.end)
        const path = join(workspace, "image")
        writeFileSync(path, "the image")
        return { path, format: "raw", filename: "image.raw", mediaType: "application/octet-stream" }
      })
  }
  return { builder, runs, expected }
}

const scene = (builder: ImageBuilder) => {
  const layer = Layer.mergeAll(
    HeldImagesFiles(join(folder, "held")),
    Layer.succeed(ImageBuilders, ImageBuilders.of({ builders: new Map([[builder.name, builder]]) })),
    Layer.succeed(Artifacts, {} as Artifacts["Service"]),
    Layer.succeed(ImageTests, {} as ImageTests["Service"]),
    targetsOfTest(),
    Layer.succeed(ImageContents, {} as ImageContents["Service"])
  )
  const lines: Array<string> = []
  const build = (hostname = "box") =>
    Effect.suspend(() => handleJob(itemNamed(hostname), {
      workspace: mkdtempSync(join(folder, "job-")), report: { progress: () => {}, line: (text) => void lines.push(text) }, secrets: Effect.succeed(new Map()), filePart: () => Effect.succeed("gone" as const),
      deployment: "test", isCanceled: () => false
    })).pipe(Effect.result)
  return { layer, build, lines }
}

const reused = (outcome: Result.Result<unknown, unknown>) => Result.isSuccess(outcome) && (outcome.success as { reused: boolean }).reused

describe("two builds of one manifest", () => {
  it.effect("share one run: the second waits, says so, and uses the first's image again", () => {
    const { builder, expected, runs } = slowBuilder()
    const { build, layer, lines } = scene(builder)
    return Effect.gen(function*() {
      const first = yield* Effect.forkChild(build())
      yield* Deferred.await(expected[0]!.begun)
      const second = yield* Effect.forkChild(build())
      yield* Effect.yieldNow
      assert.match(lines.join(), /being built for somebody else/)
      yield* Deferred.succeed(expected[0]!.end, undefined)
      assert.deepStrictEqual([reused(yield* Fiber.join(first)), reused(yield* Fiber.join(second)), runs.length], [false, true, 1])
    }).pipe(Effect.provide(layer))
  })

  it.effect("are both built by two revisions of the builder, also one after the other, and have one manifest", () => {
    const { builder, expected, runs } = slowBuilder()
    const revised: { -readonly [Key in keyof ImageBuilder]: ImageBuilder[Key] } = builder
    const { build, layer } = scene(revised)
    return Effect.gen(function*() {
      for (const { end } of expected) yield* Deferred.succeed(end, undefined)
      const outcomes: Array<Result.Result<unknown, unknown>> = []
      for (const revision of ["one", "two", "two"]) {
        revised.revision = revision
        outcomes.push(yield* build())
      }
      assert.deepStrictEqual([outcomes.map(reused), runs.length], [[false, false, true], 2])
      assert.strictEqual(new Set(outcomes.map((each) => Result.isSuccess(each) && (each.success as { manifest: string }).manifest)).size, 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("are both built where the first fails, and each says how its own ended", () => {
    const { builder, expected, runs } = slowBuilder()
    const { build, layer } = scene(builder)
    return Effect.gen(function*() {
      const first = yield* Effect.forkChild(build())
      yield* Deferred.await(expected[0]!.begun)
      const second = yield* Effect.forkChild(build())
      yield* Deferred.fail(expected[0]!.end, new BuildFailed({ class: "platform", message: "broken" }))
      yield* Deferred.await(expected[1]!.begun)
      yield* Deferred.succeed(expected[1]!.end, undefined)
      assert.isTrue(Result.isFailure(yield* Fiber.join(first)))
      assert.deepStrictEqual([reused(yield* Fiber.join(second)), runs.length], [false, 2])
    }).pipe(Effect.provide(layer))
  })

  it.effect("do not hang on each other's cancel: the second builds itself, and the first goes on", () => {
    const { builder, expected, runs } = slowBuilder()
    const { build, layer } = scene(builder)
    return Effect.gen(function*() {
      const first = yield* Effect.forkChild(build())
      yield* Deferred.await(expected[0]!.begun)
      const second = yield* Effect.forkChild(build())
      const third = yield* Effect.forkChild(build())
      yield* Effect.yieldNow
      yield* Fiber.interrupt(third)
      yield* Fiber.interrupt(first)
      yield* Deferred.await(expected[1]!.begun)
      const fourth = yield* Effect.forkChild(build())
      yield* Effect.yieldNow
      yield* Fiber.interrupt(fourth)
      yield* Deferred.succeed(expected[1]!.end, undefined)
      assert.deepStrictEqual([reused(yield* Fiber.join(second)), runs.length], [false, 2])
    }).pipe(Effect.provide(layer))
  })

  it.effect("run side by side where they differ, or where the builder builds always", () =>
    Effect.forEach([[false, "other"], [true, "box"]] as const, ([always, hostname]) => {
      const { builder, expected, runs } = slowBuilder(always)
      const { build, layer } = scene(builder)
      return Effect.gen(function*() {
        const both = yield* Effect.forEach(["box", hostname], (name) => Effect.forkChild(build(name)))
        yield* Deferred.await(expected[0]!.begun)
        yield* Deferred.await(expected[1]!.begun)
        for (const { end } of expected) yield* Deferred.succeed(end, undefined)
        assert.deepStrictEqual([...(yield* Effect.forEach(both, Fiber.join)).map(reused), runs.length], [false, false, 2])
      }).pipe(Effect.provide(layer))
    }, { discard: true }))
})
