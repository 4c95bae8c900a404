/** The scheduler in a process of its own, which a test may kill, beside a stack in this one. */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect, Schema } from "effect"
import { NatsCredentials } from "../../infra/nats-server/credentials.ts"
import { spawnChild } from "../../infra/process/child.ts"
import { TestNats } from "./servers.ts"

const main = join(import.meta.dirname, "../../apps/scheduler/main.ts")
const encode = Schema.encodeSync(Schema.fromJsonString(NatsCredentials))

/** One after the other of the same `instance` has the lease at once. */
export const startSchedulerProcess = Effect.fnUntraced(function*(dir: string, instance: string, env: Readonly<Record<string, string>> = {}) {
  const { credentials, url } = yield* TestNats
  mkdirSync(dir, { recursive: true })
  const file = join(dir, "credentials.json")
  writeFileSync(file, encode(credentials), { mode: 0o600 })
  return yield* spawnChild({
    argv: [process.execPath, main], output: join(dir, "scheduler.log"),
    env: { ...process.env, KILN_NATS_URL: url, KILN_NATS_CREDENTIALS: file, KILN_KEYS: join(dir, "keys"), KILN_INSTANCE: instance, KILN_ADMIN_PORT: undefined, ...env }
  })
})
