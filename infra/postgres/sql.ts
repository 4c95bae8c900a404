/** The connection pool to Postgres, as a layer. */
import { Context, Deferred, Effect, Layer, Redacted, Schema, type Scope } from "effect"
import postgres from "postgres"

export class SqlFailed extends Schema.TaggedError<SqlFailed>()("SqlFailed", { code: Schema.String, message: Schema.String }) {}

export const toSqlFailed = (error: unknown) =>
  new SqlFailed({ code: (error as { code?: string }).code ?? "UNKNOWN", message: (error as Error).message })

export type Client = postgres.Sql<{ bigint: number }>

/** One connection that is nobody else's; locks and an open transaction last as long as it does. */
export interface Session {
  readonly sql: Client
  /** Fails when the connection breaks. */
  readonly lost: Effect.Effect<never, SqlFailed>
}

export class Sql extends Context.Service<Sql, {
  readonly sql: Client
  /** For statements that touch few rows, each by its key: they are planned once, and not as if they read whole tables. */
  readonly byKey: Client
  run<A>(query: (sql: Client) => Promise<A>): Effect.Effect<A, SqlFailed>
  /** Not of the pool: its client writes to a reserved connection that has broken, which nobody can catch. */
  readonly session: Effect.Effect<Session, SqlFailed, Scope.Scope>
}>()("infra/postgres/Sql") {}

/** Positions, sizes and milliseconds all stay below 2^53. */
const bigint = { to: 20, from: [20], serialize: String, parse: Number }

/** The driver's own pauses grow to 20 s within seven failures: queries would hang long after the server is back. */
const secondsToReconnect = 0.2

const options = {
  types: { bigint }, onnotice: () => {}, connect_timeout: 5, backoff: () => secondsToReconnect,
  connection: {
    application_name: "kiln",
    // Rows and checkpoints are made from the log: what a crash of the server takes back, it takes back of both.
    synchronous_commit: "off",
    // Pages are read in a few milliseconds; to compile such a query takes two hundred.
    jit: "off"
  }
} as const

const noScans = { enable_seqscan: "off", enable_hashjoin: "off", enable_mergejoin: "off" }

export const SqlLive = (url: Redacted.Redacted<string>, max = 12) =>
  Layer.effect(Sql, Effect.gen(function*() {
    const end = (pool: Client) => Effect.promise(() => pool.end({ timeout: 2 }))
    const sql = yield* Effect.acquireRelease(Effect.sync(() => postgres(Redacted.value(url), { ...options, max, idle_timeout: 300 })), end)
    const byKey = yield* Effect.acquireRelease(Effect.sync(() => postgres(Redacted.value(url), {
      ...options, max: 3, idle_timeout: 300, connection: { ...options.connection, plan_cache_mode: "force_generic_plan", ...noScans }
    })), end)
    const session = Effect.gen(function*() {
      const broken = yield* Deferred.make<never, SqlFailed>()
      const own = yield* Effect.acquireRelease(
        Effect.sync(() => postgres(Redacted.value(url), {
          ...options, max: 1, max_lifetime: null,
          onclose: () => void Deferred.doneUnsafe(broken, Effect.fail(new SqlFailed({ code: "CONNECTION_CLOSED", message: "the connection broke" })))
        })), end)
      yield* Effect.tryPromise({ try: () => own`select 1`, catch: toSqlFailed })
      return { sql: own, lost: Deferred.await(broken) }
    })
    return Sql.of({ sql, byKey, session, run: (query) => Effect.tryPromise({ try: () => query(sql), catch: toSqlFailed }) })
  }))
