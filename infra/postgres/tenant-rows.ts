/** The only way to the read models' rows: as one tenant, in a transaction of its own. */
import { Context, Effect, Layer } from "effect"
import { TenantId } from "../../domain/ids.ts"
import { QueriesUnavailable } from "../../projections/compose-queries.ts"
import type { Wanted } from "../../projections/terms.ts"
import { asReaderOf, isMissing } from "./reading.ts"
import { Sql, type SqlFailed } from "./sql.ts"
import { type Transaction, transaction } from "./transaction.ts"

export type Reading = Transaction

/** No tenant has this name: what it reads belongs to none. */
export const nobody = TenantId.make("nobody")

export class TenantRows extends Context.Service<TenantRows, {
  read<A>(tenantId: TenantId, query: (sql: Reading) => Promise<A>): Effect.Effect<A, QueriesUnavailable>
}>()("infra/postgres/TenantRows") {}

export const TenantRowsLive = Layer.effect(TenantRows, Effect.gen(function*() {
  const { run } = yield* Sql
  return TenantRows.of({
    read: <A>(tenantId: TenantId, query: (sql: Reading) => Promise<A>) =>
      run((sql) => transaction(sql, async (tx) => {
        // One after the other on the wire, without a wait between them: where the first fails, the second finds a broken transaction.
        const [, answer] = await Promise.all([tx.unsafe(asReaderOf, [tenantId], { prepare: true }), query(tx)])
        return answer
      })).pipe(Effect.mapError(unavailable))
  })
}))

const unavailable = ({ code, message }: SqlFailed) =>
  new QueriesUnavailable({ message: isMissing(code) ? "the read model has not been built yet" : `Postgres: ${message}` })

/** `undefined` where nothing is wanted. */
export const tsquery = ({ beginnings, terms }: Wanted): string | undefined => {
  const all = [...terms.map(lexeme), ...beginnings.map((beginning) => `${lexeme(beginning)}:*`)]
  return all.length === 0 ? undefined : all.join(" & ")
}

const lexeme = (term: string) => `'${term.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`
