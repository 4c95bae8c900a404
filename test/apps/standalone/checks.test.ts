import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { writeFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { enoughDisk, makeHome, portFree } from "../../../apps/standalone/checks.ts"
import { environmentOf } from "../../../apps/standalone/programs.ts"
import { settingsOf } from "../../../apps/standalone/settings.ts"
import { temporaryFolder } from "../../support/servers-mode.ts"

const taken = Effect.acquireRelease(
  Effect.callback<ReturnType<typeof createServer>>((resume) => {
    const server = createServer().listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.sync(() => server.close())
)

describe("before it starts, Kiln says", () => {
  it.live("that its port is taken", Effect.fnUntraced(function*() {
    const { port } = (yield* taken).address() as AddressInfo
    const { message } = yield* Effect.flip(portFree("127.0.0.1", port))
    assert.strictEqual(message, `Port ${port} on 127.0.0.1 is taken: stop what listens there, or choose another with KILN_PORT`)
    yield* portFree("127.0.0.1", 0)
  }))

  it.live("that its folder is none", Effect.fnUntraced(function*() {
    const file = join(yield* temporaryFolder, "file")
    writeFileSync(file, "")
    const { message } = yield* Effect.flip(makeHome(join(file, "home")))
    assert.strictEqual(message, `The folder ${join(file, "home")} cannot be used (ENOTDIR): choose another with KILN_HOME`)
  }))

  it.live("that the disk is too full", Effect.fnUntraced(function*() {
    const { message } = yield* Effect.flip(enoughDisk(yield* temporaryFolder, Number.MAX_SAFE_INTEGER))
    assert.match(message, /^There are only [\d.]+ GiB free where .* make room/)
  }))

  it.effect("that a port is none", Effect.fnUntraced(function*() {
    for (const port of ["http", "70000", "-1", "1.5"]) {
      const { message } = yield* Effect.flip(settingsOf({ KILN_PORT: port }, []))
      assert.strictEqual(message, `KILN_PORT=${port} is no port: say a number from 0 to 65535`)
    }
    const { firstImage, port } = yield* settingsOf({ KILN_PORT: "" }, ["--no-first-image"])
    assert.deepStrictEqual([firstImage, port], [false, 8480])
  }))
})

describe("a worker's environment", () => {
  it("has no credential but its own, and nothing of the user's", () => {
    const env = {
      PATH: "/bin", HOME: "/root", LANG: "C", https_proxy: "http://proxy", KILN_NATS_URL: "nats://", KILN_WORKER_TOKEN_FILE: "/t",
      KILN_NATS_CREDENTIALS: "x", KILN_POSTGRES_URL: "x", KILN_KEYS: "x", KILN_TOKEN: "x", KILN_ISSUERS: "x",
      AWS_SECRET_ACCESS_KEY: "x", NPM_TOKEN: "x", SSH_AUTH_SOCK: "x"
    }
    const names = ["PATH", "HOME", "LANG", "https_proxy", "KILN_NATS_URL", "KILN_WORKER_TOKEN_FILE"]
    assert.deepStrictEqual(Object.keys(environmentOf("worker", env)), names)
    assert.deepStrictEqual(environmentOf("gateway", env), env)
  })
})
