import { assert, describe, it } from "@effect/vitest"
import { jetstream, jetstreamManager } from "@nats-io/jetstream"
import { connect, type NatsConnection } from "@nats-io/transport-node"
import { Effect, Redacted } from "effect"
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { natsServerBinary } from "../../../infra/nats-server/binary.ts"
import type { NatsLogin } from "../../../infra/nats-server/credentials.ts"
import { startNatsServer } from "../../../infra/nats-server/nats-server.ts"
import { natsServer, temporaryFolder } from "../../support/servers.ts"

const binary = natsServerBinary()

const connected = (servers: string, { password, user }: NatsLogin) =>
  Effect.acquireRelease(
    Effect.promise(() => connect({ servers, user, pass: Redacted.value(password) })),
    (nc) => Effect.promise(() => nc.close())
  )

const publish = (nc: NatsConnection, subject: string) => Effect.promise(() => jetstream(nc).publish(subject, "x"))

const program = (dir: string, text: string) => {
  const path = join(dir, "nats-server-of-a-test")
  writeFileSync(path, `#!/bin/sh\n${text}\n`)
  chmodSync(path, 0o755)
  return path
}

const refusal = (options: Parameters<typeof startNatsServer>[0]) =>
  Effect.map(Effect.flip(Effect.scoped(startNatsServer(options))), ({ message }) => message)

describe("the embedded nats-server", () => {
  it.effect("keeps its data, credentials and nothing readable to others over a restart", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryFolder
      const once = Effect.fnUntraced(function*(use: (nc: NatsConnection) => Effect.Effect<number>) {
        const { credentials, pid, url } = yield* startNatsServer({ binary, dir })
        const argv = readFileSync(`/proc/${pid}/cmdline`, "utf8")
        assert.notInclude(argv, Redacted.value(credentials.core.password))
        const seen = yield* Effect.flatMap(connected(url, credentials.core), use)
        return { seen, key: credentials.issuer.publicKey }
      }, Effect.scoped)
      const first = yield* once((nc) =>
        Effect.promise(async () => (await jetstreamManager(nc)).streams.add({ name: "T", subjects: ["t.>"] })).pipe(
          Effect.andThen(publish(nc, "t.1")),
          Effect.map(({ seq }) => seq)
        ))
      const second = yield* once((nc) => Effect.map(publish(nc, "t.2"), ({ seq }) => seq))
      assert.deepStrictEqual([first.seen, second.seen, first.key], [1, 2, second.key])
      for (const file of ["nats-credentials.json", "run/nats-server.conf", "nats-server.log"]) {
        assert.strictEqual(statSync(join(dir, file)).mode & 0o777, 0o600, file)
      }
    }))

  it.effect("is what the tests' own restart leaves: same address, same data", () =>
    Effect.gen(function*() {
      const { credentials, restart, url } = yield* natsServer
      const nc = yield* connected(url, credentials.core)
      yield* Effect.promise(async () => (await jetstreamManager(nc)).streams.add({ name: "T", subjects: ["t.>"] }))
      yield* publish(nc, "t.1")
      yield* restart
      const again = yield* connected(url, credentials.core)
      assert.strictEqual((yield* publish(again, "t.2")).seq, 2)
    }))

  it.effect("acknowledges after the fsync, keeps CORE and WORK apart, and lets no stranger in", () =>
    Effect.gen(function*() {
      const { credentials, monitorUrl, url } = yield* startNatsServer({ binary, dir: yield* temporaryFolder })
      const { config } = (yield* Effect.promise(async () => (await fetch(`${monitorUrl}/jsz?config=true`)).json())) as {
        config: { sync_always: boolean }
      }
      assert.isTrue(config.sync_always)
      const core = yield* connected(url, credentials.core)
      const api = yield* connected(url, credentials.api)
      yield* Effect.promise(async () => (await jetstreamManager(core)).streams.add({ name: "T", subjects: ["t.>"] }))
      assert.deepStrictEqual(yield* Effect.promise(async () => (await jetstreamManager(api)).streams.names().next()), [])
      const stranger = connect({ servers: url, user: "core", pass: "guess", timeout: 5000 })
      assert.match(String(yield* Effect.flip(Effect.tryPromise({ try: () => stranger, catch: String }))), /Authorization/i)
    }))

  it.effect("says in one sentence why it cannot start", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryFolder
      const { url } = yield* startNatsServer({ binary, dir: join(dir, "first") })
      const port = Number(new URL(url).port)
      assert.match(yield* refusal({ binary, dir: join(dir, "second"), port }), /^port \d+ on 127.0.0.1 is taken/)
      assert.match(yield* refusal({ binary, dir: join(dir, "first") }), /is in use by another Kiln, process \d+$/)
      assert.match(yield* refusal({ binary: join(dir, "none"), dir: join(dir, "third") }), /^there is no nats-server at /)
      const old = program(dir, "echo nats-server: v2.9.10")
      assert.match(yield* refusal({ binary: old, dir: join(dir, "third") }), /is version 2.9; Kiln needs 2.14 or newer$/)
      mkdirSync(join(dir, "fourth"))
      writeFileSync(join(dir, "fourth/jetstream"), "in the way")
      assert.match(yield* refusal({ binary, dir: join(dir, "fourth") }), /^nats-server ended while starting: /)
      writeFileSync(join(dir, "fifth"), "no folder")
      assert.match(yield* refusal({ binary, dir: join(dir, "fifth") }), /^nats-server cannot write to /)
    }))

  it.effect("tells when it is gone", () =>
    Effect.gen(function*() {
      const server = yield* startNatsServer({ binary, dir: yield* temporaryFolder })
      yield* server.kill("SIGKILL")
      assert.match((yield* Effect.flip(server.lost)).message, /^nats-server has ended/)
    }))
})
