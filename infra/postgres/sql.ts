/** The connection pool to Postgres, as a layer. */
import { Context, Effect, Layer, Redacted, Schema } from "effect"
import postgres from "postgres"

export class SqlFailed extends Schema.TaggedError<SqlFailed>()("SqlFailed", { code: Schema.String, message: Schema.String }) {}

export const toSqlFailed = (error: unknown) =>
  new SqlFailed({ code: (error as { code?: string }).code ?? "UNKNOWN", message: (error as Error).message })

export class Sql extends Context.Service<Sql, {
  readonly sql: postgres.Sql<{ bigint: number }>
  run<A>(query: (sql: postgres.Sql<{ bigint: number }>) => Promise<A>): Effect.Effect<A, SqlFailed>
}>()("infra/postgres/Sql") {}

/** Positions, sizes and milliseconds all stay below 2^53. */
const bigint = { to: 20, from: [20], serialize: String, parse: Number }

/** The driver's own pauses grow to 20 s within seven failures: queries would hang long after the server is back. */
const secondsToReconnect = 0.2

export const SqlLive = (url: Redacted.Redacted<string>, max = 8) =>
  Layer.effect(Sql, Effect.gen(function*() {
    const sql = yield* Effect.acquireRelease(
      Effect.sync(() => postgres(Redacted.value(url), {
        max, types: { bigint }, onnotice: () => {}, connect_timeout: 5, backoff: () => secondsToReconnect, idle_timeout: 300,
        // Rows and checkpoints are made from the log: what a crash of the server takes back, it takes back of both.
        connection: { application_name: "kiln", synchronous_commit: "off" }
      })),
      (pool) => Effect.promise(() => pool.end({ timeout: 2 }))
    )
    return Sql.of({ sql, run: (query) => Effect.tryPromise({ try: () => query(sql), catch: toSqlFailed }) })
  }))
