/** Reads what a stack has in the end: the log, the read models, and what lies on queues and in work folders. */
import { readdir } from "node:fs/promises"
import { join } from "node:path"
import { jetstreamManager } from "@nats-io/jetstream"
import { connect } from "@nats-io/transport-node"
import { Effect, Layer, Redacted, Stream } from "effect"
import { archiveOf } from "../../apps/standalone/environment.ts"
import type { Stack } from "../../apps/standalone/stack.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import type { LogEntry } from "../../domain/recorded.ts"
import { EventLogJetStream } from "../../infra/jetstream/event-log.ts"
import { readNatsCredentials } from "../../infra/jetstream/from-environment.ts"
import { CoreNatsLive } from "../../infra/jetstream/nats.ts"
import { checkpointName, fromColumns, tableOf } from "../../infra/postgres/projection-tables.ts"
import { Sql, SqlLive } from "../../infra/postgres/sql.ts"
import { projections } from "../../projections/all.ts"
import type { Evidence } from "./verdict.ts"

export const logOf = ({ home, natsCoreUrl, natsUrl }: Stack) => {
  const { password, username } = new URL(Redacted.value(natsCoreUrl))
  const core = CoreNatsLive({ servers: natsUrl, user: username, password: decodeURIComponent(password) }, "chaos")
  return EventLogJetStream({ partitions: 1, replicas: 1, archive: archiveOf(home) }).pipe(Layer.provide(core))
}

/** From the beginning to what is its end now. */
const wholeLog = Effect.gen(function*() {
  const log = yield* EventLog
  const entries: Array<LogEntry> = []
  for (const stream of log.streams) {
    const head = yield* log.head(stream)
    if (head === 0) continue
    yield* log.follow(stream, 0).pipe(
      Stream.takeUntil(({ position }) => position.sequence >= head),
      Stream.runForEach((entry) => Effect.sync(() => entries.push(entry)))
    )
  }
  return entries
})

const allRows = Effect.gen(function*() {
  const { run } = yield* Sql
  const read = yield* Effect.forEach(projections.values(), (projection) =>
    Effect.map(run((sql) => sql.unsafe<Array<Record<string, unknown>>>(`select * from ${tableOf(projection, "live")}`)),
      (rows) => [projection.name, rows.map((row) => fromColumns<Record<string, unknown>>(projection, row))] as const))
  return new Map(read)
})

/** How far the read model that is furthest behind has come. */
const projected = Effect.gen(function*() {
  const { run } = yield* Sql
  const names = [...projections.values()].map((projection) => checkpointName(projection, "live"))
  const [row] = yield* run((sql) => sql<Array<{ count: number; position: number }>>`
    select count(*)::int as count, min(position) as position from kiln.checkpoints where projection in ${sql(names)}`)
  return row!.count < names.length ? 0 : row!.position
})

/** Of a stack at rest there is nothing: no message waits for a worker or the scheduler, no job has a folder. */
const leftOver = (stack: Stack) =>
  Effect.gen(function*() {
    const { api } = yield* readNatsCredentials(join(stack.home, "nats", "nats-credentials.json"))
    const queues = yield* Effect.acquireUseRelease(
      Effect.tryPromise(() => connect({ servers: stack.natsUrl.split(","), user: api.user, pass: Redacted.value(api.password), timeout: 2000 })),
      (nc) => Effect.tryPromise(async () => {
        const jsm = await jetstreamManager(nc)
        return Promise.all(["JOBS", "RESULTS"].map(async (name) => ({ name, count: (await jsm.streams.info(name)).state.messages })))
      }),
      (nc) => Effect.promise(() => nc.close())
    )
    const folders = yield* Effect.tryPromise(async () => {
      const workers = await readdir(join(stack.home, "work"))
      return (await Promise.all(workers.map(async (worker) => (await readdir(join(stack.home, "work", worker))).map((job) => `${worker}/${job}`)))).flat()
    })
    return [
      ...queues.filter(({ count }) => count > 0).map(({ count, name }) => `${count} messages are left on ${name}`),
      ...folders.map((folder) => `the work folder ${folder} is left`)
    ]
  })

/** All of it, the read models as far as the log; read again until it is as wished and every server answers, or the time is over. */
export const gather = (
  stack: Stack, promised: Evidence["promised"], isQuiet: (evidence: Evidence) => boolean = () => true, withinMs = 120_000
): Promise<Evidence> => {
  const once = Effect.gen(function*() {
    const left = yield* leftOver(stack)
    const log = yield* wholeLog
    while ((yield* projected) < (log.at(-1)?.position.sequence ?? 0)) yield* Effect.sleep("50 millis")
    return { promised, log, rows: yield* allRows, left } satisfies Evidence
  }).pipe(Effect.timeout("60 seconds"))
  const until = Date.now() + withinMs
  const reading = Effect.gen(function*() {
    for (;;) {
      const result = yield* Effect.result(once)
      if (result._tag === "Success" && (isQuiet(result.success) || Date.now() > until)) return result.success
      if (result._tag === "Failure" && Date.now() > until) return yield* Effect.die(result.failure)
      yield* Effect.sleep("500 millis")
    }
  })
  return Effect.runPromise(Effect.scoped(Effect.provide(reading, Layer.mergeAll(logOf(stack), SqlLive(stack.postgresUrl, 2)))))
}
