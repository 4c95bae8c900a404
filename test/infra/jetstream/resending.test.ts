import { assert, describe, it } from "@effect/vitest"
import { jetstream, jetstreamManager } from "@nats-io/jetstream"
import { Effect, Fiber, Redacted } from "effect"
import { connection } from "../../../infra/jetstream/nats.ts"
import { reconnections } from "../../../infra/jetstream/resending.ts"
import { natsServer } from "../../support/servers.ts"

const connected = Effect.gen(function*() {
  const { credentials: { core }, restart, url } = yield* natsServer
  const nc = yield* connection({ servers: url, user: core.user, pass: Redacted.value(core.password) })
  const jsm = yield* Effect.promise(() => jetstreamManager(nc))
  yield* Effect.promise(() => jsm.streams.add({ name: "T", subjects: ["t.>"] }))
  return { nc, js: jetstream(nc), jsm, restart }
})

/** Reached when the client has seen that its server is gone. */
const broken = (nc: Effect.Success<typeof connected>["nc"]) =>
  Effect.promise(async () => {
    for await (const { type } of nc.status()) if (type === "disconnect") return
  })

describe("a request whose server dies", () => {
  it.live("given a write with an id and a read, made while the server is away, when it is back, then both are answered, and the write is there once", () =>
    Effect.gen(function*() {
      const { js, jsm, nc, restart } = yield* connected
      const gone = yield* Effect.forkChild(broken(nc))
      const back = yield* Effect.forkChild(restart)
      yield* Fiber.join(gone)
      // No time-out would end these before the test's own does.
      const written = yield* Effect.forkChild(Effect.promise(() => js.publish("t.1", "x", { msgID: "one", timeout: 3_600_000 })))
      const read = yield* Effect.forkChild(Effect.promise(() => nc.request("$JS.API.STREAM.INFO.T", "", { timeout: 3_600_000 })))
      yield* Fiber.join(back)
      assert.strictEqual((yield* Fiber.join(written)).seq, 1)
      assert.strictEqual((yield* Fiber.join(read)).json<{ config: { name: string } }>().config.name, "T")
      assert.strictEqual((yield* Effect.promise(() => jsm.streams.info("T"))).state.messages, 1)
    }).pipe(Effect.scoped))

  it.live("given a write that could count twice, when the connection comes back, then it fails at once and is not sent again", () =>
    Effect.gen(function*() {
      const { js, jsm, nc, restart } = yield* connected
      const gone = yield* Effect.forkChild(broken(nc))
      const back = yield* Effect.forkChild(restart)
      yield* Fiber.join(gone)
      const error = yield* Effect.flip(Effect.tryPromise({ try: () => js.publish("t.1", "x", { timeout: 3_600_000 }), catch: (error) => error as Error }))
      assert.match(error.message, /the connection broke/)
      yield* Fiber.join(back)
      assert.strictEqual((yield* Effect.promise(() => jsm.streams.info("T"))).state.messages, 0)
    }).pipe(Effect.scoped))

  it.live("given requests that were answered or refused, then nothing is kept of them for the day on which the connection breaks", () =>
    Effect.gen(function*() {
      const { nc } = yield* connected
      const reconnected = reconnections(nc)
      yield* Effect.promise(async () => {
        const lasting = reconnected.before(new Promise<never>(() => {}))
        assert.strictEqual(await reconnected.before(nc.request("$JS.API.STREAM.NAMES", "").then(() => "answered")), "answered")
        await reconnected.before(Promise.reject(new Error("refused"))).catch(() => {})
        assert.strictEqual(reconnected.waiting, 1)
        await nc.reconnect()
        assert.strictEqual(await lasting, "broken")
        assert.strictEqual(reconnected.waiting, 0)
      })
    }).pipe(Effect.scoped))
})
