import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Schedule, Scope } from "effect"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { ScaleDriver } from "../../../domain/ports/scale-driver.ts"
import { ProcessDriver } from "../../../infra/process/process-driver.ts"
import { gone } from "../../support/gone.ts"
import { temporaryFolder } from "../../support/servers-mode.ts"

/** Looks again and again until it holds. */
const until = <A, E>(look: Effect.Effect<A, E>, holds: (a: A) => boolean) =>
  look.pipe(Effect.repeat({ until: holds, schedule: Schedule.spaced("20 millis") }))

/** Says who it is and what it sees, and takes its leave when it is told to go. */
const program = `trap 'echo "$KILN_WORKER leaves"; exit 0' TERM; echo "$KILN_WORKER $$ begins"; env | sed "s/^/env /"; while :; do sleep 0.05; done`

const make = (script = program, env: NodeJS.ProcessEnv = {}, graceSeconds = 10) =>
  Effect.gen(function*() {
    const dir = yield* temporaryFolder
    const scope = yield* Scope.make()
    yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
    const settings = { type: "process", work: join(dir, "work"), log: join(dir, "workers.log"), env: { KILN_WORKER_TOKEN_FILE: "/token" }, graceSeconds } as const
    const context = yield* Layer.build(ProcessDriver(settings, {
      argv: ["bash", "-c", script], env: { PATH: process.env["PATH"], KILN_POOL: "default", KILN_ADMIN_PORT: "1", ...env }
    })).pipe(Scope.provide(scope))
    const driver = yield* Effect.provideContext(ScaleDriver, context)
    const log = () => existsSync(settings.log) ? readFileSync(settings.log, "utf8").trim().split("\n") : []
    const said = (pattern: RegExp) => log().filter((line) => pattern.test(line))
    const folders = () => readdirSync(settings.work)
    return { driver, folders, said, stop: Scope.close(scope, Exit.void) }
  })

describe("a pool of processes", () => {
  it.live("grows to a number of workers, each with its own name and folder, and never shrinks by growing", () =>
    Effect.gen(function*() {
      const { driver, folders, said } = yield* make()
      yield* driver.grow(3)
      yield* driver.grow(1)
      yield* until(Effect.sync(() => said(/begins$/)), (lines) => lines.length === 3)
      const names = (yield* driver.list).map(({ worker }) => worker)
      assert.strictEqual(new Set(names).size, 3)
      assert.sameMembers(said(/begins$/).map((line) => line.split(" ")[0]!), names)
      assert.sameMembers(folders(), names)
    }))

  it.live("tells a worker to go, and forgets it with its folder when it is gone", () =>
    Effect.gen(function*() {
      const { driver, folders, said } = yield* make()
      yield* driver.grow(2)
      yield* until(Effect.sync(() => said(/begins$/)), (lines) => lines.length === 2)
      const [one, two] = (yield* driver.list).map(({ id }) => id)
      yield* driver.remove([one!, "nobody"])
      yield* driver.remove([one!])
      const list = yield* until(driver.list, (instances) => instances.length === 1)
      yield* until(Effect.sync(folders), (names) => names.length === 1)
      assert.deepStrictEqual([list[0]!.id, folders()[0], said(/leaves$/)], [two!, two!, [`${one} leaves`]])
    }))

  it.live("shows a worker on its way out as stopping, and grows past it", () =>
    Effect.gen(function*() {
      const { driver, said } = yield* make(`trap '' TERM; echo begins; while :; do sleep 0.05; done`, {}, 1)
      yield* driver.grow(1)
      yield* until(Effect.sync(() => said(/begins$/)), (lines) => lines.length === 1)
      yield* driver.remove((yield* driver.list).map(({ id }) => id))
      yield* driver.grow(1)
      assert.deepStrictEqual((yield* driver.list).map(({ state }) => state), ["stopping", "running"])
    }))

  it.live("loses a worker that ends by itself", () =>
    Effect.gen(function*() {
      const { driver } = yield* make("exit 3")
      yield* driver.grow(2)
      yield* until(driver.list, (instances) => instances.length === 0)
    }))

  it.live("gives workers what their pool and its file say, and no secret of the scaler's", () =>
    Effect.gen(function*() {
      const { driver, said } = yield* make(program, { KILN_NATS_CREDENTIALS: "/secret", AWS_SECRET_ACCESS_KEY: "secret", KILN_CACHE: "/cache" })
      yield* driver.grow(1)
      yield* until(Effect.sync(() => said(/^env KILN_WORKER=/)), (lines) => lines.length === 1)
      const names = said(/^env /).map((line) => line.slice(4).split("=")[0]!)
      assert.includeMembers(names, ["KILN_POOL", "KILN_CACHE", "KILN_WORK", "KILN_WORKER", "KILN_WORKER_TOKEN_FILE"])
      assert.deepStrictEqual(names.filter((name) => ["KILN_NATS_CREDENTIALS", "AWS_SECRET_ACCESS_KEY", "KILN_ADMIN_PORT"].includes(name)), [])
    }))

  it.live("ends with its scaler, every worker told first", () =>
    Effect.gen(function*() {
      const { driver, said, stop } = yield* make()
      yield* driver.grow(3)
      const pids = (yield* until(Effect.sync(() => said(/begins$/)), (lines) => lines.length === 3)).map((line) => line.split(" ")[1]!)
      yield* stop
      assert.strictEqual(said(/leaves$/).length, 3)
      yield* gone(...pids.map(Number))
    }))

  it.live("says why where a worker cannot be started", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryFolder
      const settings = { type: "process", work: join(dir, "work"), log: join(dir, "nowhere", "workers.log"), env: {}, graceSeconds: 1 } as const
      const context = yield* Layer.build(ProcessDriver(settings, { argv: ["bash"], env: {} }))
      const error = yield* Effect.flip(Effect.flatMap(Effect.provideContext(ScaleDriver, context), (driver) => driver.grow(1)))
      assert.deepInclude(error, { _tag: "ScaleFailed", operation: "grow" })
      assert.include(error.message, "ENOENT")
    }))
})
