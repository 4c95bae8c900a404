import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { natsServerBinary } from "../../../infra/nats-server/binary.ts"
import { startNatsServer } from "../../../infra/nats-server/nats-server.ts"
import { startPostgresServer } from "../../../infra/postgres-server/postgres-server.ts"
import { claimFolder } from "../../../infra/process/server-folder.ts"
import { gone } from "../../support/gone.ts"
import { temporaryFolder } from "../../support/servers.ts"

const holder = Effect.fnUntraced(function*(dir: string) {
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawn(process.execPath, [join(import.meta.dirname, "holds-servers.ts"), dir], { stdio: ["ignore", "pipe", "inherit"] })),
    (process_) => Effect.sync(() => process_.kill("SIGKILL"))
  )
  const line = yield* Effect.callback<string>((resume) => {
    child.stdout.once("data", (data) => resume(Effect.succeed(String(data))))
  })
  return { child, pids: JSON.parse(line) as ReadonlyArray<number> }
})

describe("servers whose Kiln was killed", () => {
  it.effect("end with it, and a later start on the same folders works", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryFolder
      const { child, pids } = yield* holder(dir)
      const busy = yield* Effect.flip(Effect.scoped(startPostgresServer({ dir: join(dir, "postgres") })))
      assert.strictEqual(busy.message, `${join(dir, "postgres")} is in use by another Kiln, process ${child.pid}`)
      child.kill("SIGKILL")
      yield* gone(child.pid!, ...pids)
      yield* startNatsServer({ binary: natsServerBinary(), dir: join(dir, "nats") })
      yield* startPostgresServer({ dir: join(dir, "postgres") })
    }))

  it.effect("are ended where the kernel did not, but only what runs on the folder", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryFolder
      const orphan = (name: string, argument: string) => {
        const child = spawn("bash", ["-c", "trap exit INT; while sleep 0.05; do :; done", argument], { stdio: "ignore" })
        mkdirSync(join(dir, name))
        writeFileSync(join(dir, name, "pid"), `${child.pid}\n`)
        writeFileSync(join(dir, name, "held-by"), "1 0\n")
        return child
      }
      const ours = orphan("ours", join(dir, "ours/data"))
      const other = orphan("other", join(dir, "otherwise"))
      for (const name of ["ours", "other"]) {
        yield* claimFolder({ server: "postgres", dir: join(dir, name), pidFile: join(dir, name, "pid") })
      }
      yield* gone(ours.pid!)
      assert.strictEqual(other.exitCode, null)
      other.kill("SIGKILL")
    }))
})
