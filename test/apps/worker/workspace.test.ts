import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { afterEach, beforeEach } from "vitest"
import { Workspaces } from "../../../apps/worker/workspace.ts"
import { BuildFailed } from "../../../domain/ports/image-builder.ts"
import { mountsNothing, smallDisk } from "../../support/small-disk.ts"

let dir = ""
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "kiln-workspaces-"))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const leave = (workspace: string) => Effect.sync(() => writeFileSync(join(workspace, "half an image"), "x"))

describe("a workspace", () => {
  it.effect("is gone after a failure, a defect and a cancel, with what lay in it", () =>
    Effect.gen(function*() {
      const workspaces = new Workspaces(dir)
      yield* Effect.exit(workspaces.use((path) => Effect.andThen(leave(path), Effect.fail("no"))))
      yield* Effect.exit(workspaces.use((path) => Effect.andThen(leave(path), Effect.die("no"))))
      const begun = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(workspaces.use((path) => Effect.andThen(leave(path), Effect.andThen(Deferred.succeed(begun, undefined), Effect.never))))
      yield* Deferred.await(begun)
      assert.strictEqual(readdirSync(dir).length, 1)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(readdirSync(dir), [])
    }))

  it.effect("is gone after a success that has left something, and is used again after one that has not", () =>
    Effect.gen(function*() {
      const workspaces = new Workspaces(dir)
      const first = yield* workspaces.use((path) => Effect.as(leave(path), path))
      assert.isFalse(existsSync(first))
      const second = yield* workspaces.use(Effect.succeed)
      assert.strictEqual(yield* workspaces.use(Effect.succeed), second)
    }))

  it.effect("of a run that was killed is gone before the next run begins", () =>
    Effect.gen(function*() {
      mkdirSync(join(dir, "job-old/scratch"), { recursive: true })
      writeFileSync(join(dir, "job-old/scratch/tree"), "x")
      yield* new Workspaces(dir).clear
      assert.deepStrictEqual(readdirSync(dir), [])
    }))

  it.effect("may be made on a disk that is mounted there, which is emptied and stays", (context) =>
    Effect.scoped(Effect.gen(function*() {
      if (!(yield* smallDisk(dir, "1m"))) return context.skip(mountsNothing)
      mkdirSync(join(dir, "job-old"))
      const workspaces = new Workspaces(dir)
      yield* workspaces.clear
      assert.deepStrictEqual(readdirSync(dir), [])
      yield* workspaces.use(leave)
    })))

  it.effect("that cannot be made fails its job, by the platform's fault, and none after it", () =>
    Effect.gen(function*() {
      const workspaces = new Workspaces(join(dir, "gone"))
      const failed = yield* Effect.flip(workspaces.use(leave))
      assert.instanceOf(failed, BuildFailed)
      assert.match(failed.message, /^the worker cannot make a workspace: ENOENT/u)
      yield* workspaces.clear
      yield* workspaces.use(leave)
    }))

  it.effect("is removed by who has the right to, where other ids have worked in it", () =>
    Effect.gen(function*() {
      const asked: Array<string> = []
      const workspaces = new Workspaces(dir, async (path) => {
        asked.push(path)
        rmSync(path, { recursive: true, force: true })
      })
      const path = yield* workspaces.use((path) => Effect.as(leave(path), path))
      assert.deepStrictEqual(asked, [path])
    }))
})
