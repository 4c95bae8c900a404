/**
 * Servers for tests: real ones, embedded by default, in containers with `KILN_TEST_SERVERS=containers`.
 * They work under a test clock too.
 */
import { Context, Effect, Layer, Redacted, Scope } from "effect"
import postgres from "postgres"
import { inject } from "vitest"
import { natsServerBinary } from "../../infra/nats-server/binary.ts"
import type { NatsCredentials } from "../../infra/nats-server/credentials.ts"
import { type NatsServer, startNatsServer } from "../../infra/nats-server/nats-server.ts"
import { inContainers, temporaryFolder } from "./servers-mode.ts"

export { inContainers, temporaryFolder }

export interface NatsForTests {
  readonly url: string
  readonly credentials: NatsCredentials
  /** Kills the server without a word and starts it again at the same address with what it has on disk. */
  readonly restart: Effect.Effect<void>
}

/** A nats-server with nothing in it, gone with the scope; some 30 ms when embedded. */
export const natsServer: Effect.Effect<NatsForTests, never, Scope.Scope> = Effect.suspend(() =>
  inContainers ? natsContainer : embeddedNats
).pipe(Effect.orDie)

const embeddedNats = Effect.gen(function*() {
  const scope = yield* Effect.scope
  const dir = yield* temporaryFolder
  const start = (port: number) =>
    Scope.provide(scope)(startNatsServer({ binary: natsServerBinary(), dir, port, durable: false }))
  let server: NatsServer = yield* start(0)
  const { credentials, url } = server
  const restart = Effect.gen(function*() {
    yield* server.kill("SIGKILL")
    server = yield* start(Number(new URL(url).port))
  }).pipe(Effect.orDie)
  return { url, credentials, restart }
})

const natsContainer = Effect.flatMap(
  Effect.promise(() => import("./containers.ts")),
  ({ natsInContainer }) => natsInContainer
)

/** The URL of an empty database that nobody else has; dropped with the scope. */
export const createDatabase: Effect.Effect<Redacted.Redacted, never, Scope.Scope> = Effect.gen(function*() {
  const url = new URL(inject("postgresUrl"))
  const name = `test_${crypto.randomUUID().replaceAll("-", "")}`
  const admin = yield* Effect.acquireRelease(
    Effect.sync(() => postgres(url.href, { max: 1, onnotice: () => {} })),
    (sql) => Effect.promise(() => sql.end({ timeout: 2 }))
  )
  yield* Effect.acquireRelease(
    Effect.promise(() => admin.unsafe(`create database ${name}`)),
    () => Effect.promise(() => admin.unsafe(`drop database if exists ${name} with (force)`))
  )
  url.pathname = `/${name}`
  return Redacted.make(url.href, { label: "postgres url" })
})

/** The same as layers, for a server a block of tests shares. */
export class TestNats extends Context.Service<TestNats, NatsForTests>()("test/TestNats") {
  static readonly layer = Layer.effect(TestNats, natsServer)
}

export class TestDatabase extends Context.Service<TestDatabase, Redacted.Redacted>()("test/TestDatabase") {
  static readonly layer = Layer.effect(TestDatabase, createDatabase)
}
