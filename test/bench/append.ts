import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Layer, Redacted } from "effect"
import { v7 } from "uuid"
import { ComposeId } from "../../domain/ids.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { composeRef } from "../../domain/recorded.ts"
import { EventLogJetStream } from "../../infra/jetstream/event-log.ts"
import { CoreNats, CoreNatsLive } from "../../infra/jetstream/nats.ts"
import { natsServerBinary } from "../../infra/nats-server/binary.ts"
import { startNatsServer } from "../../infra/nats-server/nats-server.ts"
import { decisionOf, jobs, queued, requested, tenantId } from "../support/composes.ts"
import { atLeast, atMost, type Bench, percentile, told } from "./bench.ts"

const eventsEach = 2

const measure = Effect.gen(function*() {
  const log = yield* EventLog
  const { js } = yield* CoreNats
  const one = Effect.suspend(() => log.append(composeRef(tenantId, ComposeId.make(v7())), 0, decisionOf(v7(), requested, queued(jobs.resolve))))
  const timed = Effect.suspend(() => {
    const start = performance.now()
    return Effect.map(one, () => performance.now() - start)
  })
  yield* Effect.forEach(Array.from({ length: 2000 }), () => one, { concurrency: 256, discard: true })
  const lone = yield* Effect.forEach(Array.from({ length: 1000 }), () => timed)
  const start = performance.now()
  yield* Effect.forEach(Array.from({ length: 20_000 }), () => one, { concurrency: 256, discard: true })
  const together = (20_000 * eventsEach) / ((performance.now() - start) / 1000)
  const bareStart = performance.now()
  yield* Effect.forEach(Array.from({ length: 5000 }), () =>
    Effect.promise(() => js.publish(`events.bare.compose.${v7()}.1`, "x".repeat(900))), { concurrency: 256, discard: true })
  const bare = 5000 / ((performance.now() - bareStart) / 1000)
  return [
    atLeast("events at 256 in flight", together, 8000, "events/s"),
    told("bare publishes at 256 in flight", bare, "messages/s"),
    atMost("lone append p50", percentile(lone, 0.5), 1.2, "ms"),
    told("lone append p99", percentile(lone, 0.99), "ms")
  ]
})

export const append: Bench = {
  name: "append",
  about: "events a second through the appender's group commit, every one synced to disk",
  run: async () => {
    const dir = await mkdtemp(join(process.env["KILN_BENCH_DIR"] ?? tmpdir(), "kiln-bench-"))
    const program = Effect.scoped(Effect.gen(function*() {
      const { url, credentials: { core } } = yield* startNatsServer({ binary: natsServerBinary(), dir })
      const layer = EventLogJetStream({ partitions: 1, replicas: 1 }).pipe(
        Layer.provideMerge(CoreNatsLive({ servers: url, user: core.user, password: Redacted.value(core.password) }, "bench")))
      return yield* Effect.provide(measure, layer)
    }))
    return Effect.runPromise(program).finally(() => rm(dir, { recursive: true, force: true }))
  }
}
