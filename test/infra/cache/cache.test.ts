import { spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Metric } from "effect"
import { afterEach, beforeEach } from "vitest"
import { cacheAt, type Shelf } from "../../../infra/cache/cache.ts"
import { locked } from "../../../infra/cache/lock.ts"
import { mountsNothing, smallDisk } from "../../support/small-disk.ts"

let dir = ""
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "kiln-cache-"))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const putText = (shelf: Shelf, name: string, text: string) =>
  Effect.suspend(() => {
    const path = join(shelf.dir, `of-${name}`)
    writeFileSync(path, text)
    return shelf.put("packages", name, path)
  })

const put = (name: string, text: string, bytes?: number) =>
  Effect.scoped(Effect.flatMap(cacheAt(dir, bytes).shelf, (shelf) => putText(shelf, name, text)))

/** Last used so many minutes ago. */
const age = (name: string, minutes: number) => {
  const then = new Date(Date.now() - minutes * 60_000)
  utimesSync(join(dir, "packages", name), then, then)
}

const names = () => readdirSync(join(dir, "packages")).toSorted()

describe("a cache", () => {
  it.effect("gives what was put into it, and says when there is nothing", () =>
    Effect.scoped(Effect.gen(function*() {
      yield* put("one", "first")
      const shelf = yield* cacheAt(dir).shelf
      assert.strictEqual(readFileSync((yield* shelf.take("packages", "one"))!, "utf8"), "first")
      assert.isUndefined(yield* shelf.take("packages", "two"))
    })))

  it.effect("keeps the first of two that put the same", () =>
    Effect.gen(function*() {
      yield* put("one", "first")
      yield* put("one", "again")
      assert.strictEqual(readFileSync(join(dir, "packages", "one"), "utf8"), "first")
    }))

  it.effect("throws out what has not the size that it should have", () =>
    Effect.scoped(Effect.gen(function*() {
      yield* put("one", "cut off")
      const shelf = yield* cacheAt(dir).shelf
      assert.isUndefined(yield* shelf.take("packages", "one", { size: 100 }))
      assert.deepStrictEqual(names(), [])
    })))

  it.effect("keeps no half of what a part of it on a disk of its own has no room for, and takes what fits", (context) =>
    Effect.scoped(Effect.gen(function*() {
      if (!(yield* smallDisk(join(dir, "packages"), "256k"))) return context.skip(mountsNothing)
      const full = yield* Effect.flip(put("one", "x".repeat(1 << 20)))
      assert.strictEqual((full as NodeJS.ErrnoException).code, "ENOSPC")
      assert.deepStrictEqual(names(), [])
      yield* put("two", "fits")
      assert.deepStrictEqual(names(), ["two"])
    })))

  it.effect("removes what was used longest ago when there is too much, and nothing before", () =>
    Effect.gen(function*() {
      for (const [name, minutes] of [["a", 30], ["b", 20], ["c", 10]] as const) {
        yield* put(name, "x".repeat(100), 300)
        age(name, minutes)
      }
      assert.deepStrictEqual(names(), ["a", "b", "c"])
      yield* Effect.scoped(Effect.flatMap(cacheAt(dir, 300).shelf, (shelf) => shelf.take("packages", "a")))
      yield* put("d", "x".repeat(100), 300)
      assert.deepStrictEqual(names(), ["a", "c", "d"])
    }))

  it.effect("removes nothing that somebody works with, and brings itself within its bound when he is done", () =>
    Effect.gen(function*() {
      yield* put("used", "x".repeat(100), 150)
      age("used", 30)
      yield* Effect.scoped(Effect.gen(function*() {
        const shelf = yield* cacheAt(dir, 150).shelf
        const path = (yield* shelf.take("packages", "used"))!
        age("used", 30)
        yield* put("other", "y".repeat(100), 150)
        assert.isTrue(existsSync(path))
        assert.isTrue(names().includes("used"))
      }))
      yield* put("third", "z".repeat(100), 150)
      assert.strictEqual(names().length, 1)
    }))

  it.effect("has no entry and no folder left of a process that was killed in the middle, and leaves those of living ones", () =>
    Effect.scoped(Effect.gen(function*() {
      const program = `import { cacheAt } from ${JSON.stringify(join(import.meta.dirname, "../../../infra/cache/cache.ts"))}
        import { Effect } from "effect"
        import { writeFileSync } from "node:fs"
        Effect.runFork(Effect.scoped(Effect.gen(function*() {
          const shelf = yield* cacheAt(${JSON.stringify(dir)}).shelf
          writeFileSync(shelf.dir + "/half", "half of it")
          console.log(shelf.dir)
          yield* Effect.never
        })))
        setInterval(() => {}, 1000)`
      const other = spawn(process.execPath, ["--input-type=module-typescript", "-e", program], { stdio: ["ignore", "pipe", "inherit"], cwd: join(import.meta.dirname, "../../..") })
      const left = yield* Effect.promise(() => new Promise<string>((resolve) => other.stdout.once("data", (chunk) => resolve(String(chunk).trim()))))
      yield* cacheAt(dir).tidy
      assert.isTrue(existsSync(join(left, "half")))
      const gone = new Promise((resolve) => other.once("exit", resolve))
      other.kill("SIGKILL")
      yield* Effect.promise(() => gone)
      const shelf = yield* cacheAt(dir).shelf
      yield* cacheAt(dir).tidy
      assert.isFalse(existsSync(left))
      assert.isTrue(existsSync(shelf.dir))
    })))

  it.effect("leaves for a day what a process of another machine or container has", () =>
    Effect.gen(function*() {
      const theirs = join(dir, "in-use", "0123456789ab.1.1.aaaaaaaaaaaa")
      mkdirSync(theirs, { recursive: true })
      yield* cacheAt(dir).tidy
      assert.isTrue(existsSync(theirs))
      const then = new Date(Date.now() - 25 * 3_600_000)
      utimesSync(theirs, then, then)
      yield* cacheAt(dir).tidy
      assert.isFalse(existsSync(theirs))
    }))

  it.effect("bears many that take, put and tidy at once", () =>
    Effect.gen(function*() {
      const wanted = Array.from({ length: 40 }, (_, at) => String(at % 8))
      yield* Effect.forEach(wanted, (name) =>
        Effect.scoped(Effect.gen(function*() {
          const shelf = yield* cacheAt(dir, 250).shelf
          const taken = yield* shelf.take("packages", name)
          if (taken === undefined) yield* putText(shelf, name, name.repeat(100))
          const path = taken ?? join(shelf.dir, `of-${name}`)
          yield* cacheAt(dir, 250).tidy
          assert.strictEqual(readFileSync(path, "utf8"), name.repeat(100))
        })), { concurrency: 8, discard: true })
      yield* cacheAt(dir, 250).tidy
      assert.isAtMost(names().reduce((sum, name) => sum + statSync(join(dir, "packages", name)).size, 0), 250)
      assert.deepStrictEqual(readdirSync(join(dir, "in-use")), [])
    }))

  it.effect("counts what was there, what was not, and what went", () =>
    Effect.gen(function*() {
      yield* put("one", "x".repeat(100))
      yield* Effect.scoped(Effect.flatMap(cacheAt(dir).shelf, (shelf) => Effect.all([shelf.take("packages", "one"), shelf.take("packages", "none")])))
      yield* cacheAt(dir, 10).tidy
      const found = new Map((yield* Metric.snapshot).filter(({ attributes }) => attributes?.["kind"] === "packages").map(({ id, state }) => [id, "count" in state ? Number(state.count) : "value" in state ? Number(state.value) : 0]))
      assert.isAtLeast(found.get("kiln_cache_hits_total") ?? 0, 1)
      assert.isAtLeast(found.get("kiln_cache_misses_total") ?? 0, 1)
      assert.isAtLeast(found.get("kiln_cache_evictions_total") ?? 0, 1)
      assert.strictEqual(found.get("kiln_cache_bytes"), 0)
    }))
})

describe("a lock of the cache", () => {
  it.live("is held by one at a time, and given up by whoever does not want to wait any more", () =>
    Effect.gen(function*() {
      const path = join(dir, "base", "key.lock")
      const order: Array<string> = []
      const [has, mayGo] = [Deferred.makeUnsafe<void>(), Deferred.makeUnsafe<void>()]
      const first = yield* Effect.forkChild(Effect.scoped(Effect.gen(function*() {
        yield* locked(path)
        yield* Deferred.succeed(has, undefined)
        yield* Deferred.await(mayGo)
        order.push("first goes")
      })))
      yield* Deferred.await(has)
      const impatient = yield* Effect.forkChild(Effect.scoped(Effect.andThen(locked(path), Effect.sync(() => order.push("impatient")))))
      const second = yield* Effect.forkChild(Effect.scoped(Effect.andThen(locked(path), Effect.sync(() => order.push("second comes")))))
      yield* Fiber.interrupt(impatient)
      yield* Deferred.succeed(mayGo, undefined)
      yield* Fiber.join(first)
      yield* Fiber.join(second)
      assert.deepStrictEqual(order, ["first goes", "second comes"])
    }))

  it.live("tells those who have to wait for it, and nobody else", () =>
    Effect.gen(function*() {
      const path = join(dir, "base", "key.lock")
      const [has, waits, mayGo] = [Deferred.makeUnsafe<void>(), Deferred.makeUnsafe<void>(), Deferred.makeUnsafe<void>()]
      const waited: Array<string> = []
      const first = yield* Effect.forkChild(Effect.scoped(Effect.gen(function*() {
        yield* locked(path, () => void waited.push("first"))
        yield* Deferred.succeed(has, undefined)
        yield* Deferred.await(mayGo)
      })))
      yield* Deferred.await(has)
      const second = yield* Effect.forkChild(Effect.scoped(locked(path, () => {
        waited.push("second")
        Deferred.doneUnsafe(waits, Effect.void)
      })))
      yield* Deferred.await(waits)
      yield* Deferred.succeed(mayGo, undefined)
      yield* Fiber.join(first)
      yield* Fiber.join(second)
      assert.deepStrictEqual(waited, ["second"])
    }))

  it.live("leaves nobody behind who got it when he was interrupted", () =>
    Effect.gen(function*() {
      const path = join(dir, "base", "key.lock")
      for (let turns = 0; turns < 40; turns++) {
        const fiber = yield* Effect.forkChild(Effect.scoped(Effect.andThen(locked(path), Effect.never)))
        // Before there is a folder, before there is a holder, while it starts, and when it has it.
        yield* Effect.sleep(`${turns % 8} millis`)
        yield* Fiber.interrupt(fiber)
      }
      yield* Effect.scoped(locked(path))
    }))
})
