import { spawn } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { lockHome } from "../../../apps/standalone/home-lock.ts"
import { temporaryFolder } from "../../support/servers-mode.ts"

const source = join(import.meta.dirname, "../../../apps/standalone/home-lock.ts")

describe("a home", () => {
  it.live("belongs to one Kiln at a time", Effect.fnUntraced(function*() {
    const home = yield* temporaryFolder
    yield* Effect.scoped(Effect.gen(function*() {
      yield* lockHome(home)
      const { message } = yield* Effect.flip(Effect.scoped(lockHome(home)))
      assert.strictEqual(
        message,
        `${home} is in use by another Kiln, process ${process.pid}: stop that one, or choose another folder with KILN_HOME`
      )
      yield* lockHome(yield* temporaryFolder)
    }))
    yield* lockHome(home)
  }))

  it.live("is free again when its Kiln was killed", Effect.fnUntraced(function*() {
    const home = yield* temporaryFolder
    const program = `
      const { Effect } = await import("effect")
      const { lockHome } = await import(${JSON.stringify(source)})
      Effect.runFork(Effect.scoped(Effect.andThen(lockHome(${JSON.stringify(home)}), Effect.never)))
      setTimeout(() => console.log("locked"), 50)
      setInterval(() => {}, 1000)`
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      cwd: import.meta.dirname, stdio: ["ignore", "pipe", "inherit"]
    })
    yield* Effect.promise(() => once(child.stdout!, "data"))
    yield* Effect.flip(Effect.scoped(lockHome(home)))
    child.kill("SIGKILL")
    yield* Effect.promise(() => once(child, "exit"))
    yield* lockHome(home)
  }))
})
