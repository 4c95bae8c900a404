/** Transactions of the pool that outlive neither their connection nor the process. */
import type postgres from "postgres"
import type { Client } from "./sql.ts"

export type Transaction = postgres.TransactionSql<{ bigint: number }>

/**
 * The driver answers any failure with a rollback, also where the connection has broken: that write throws where nobody can
 * catch it, or lands in another's transaction. A broken connection takes its transaction with it, so nothing is answered
 * here, and the driver fails the whole by itself. `run` waits for nothing but its own queries: so none of them is begun after
 * the break.
 */
export const transaction = async <A>(sql: Client, run: (tx: Transaction) => Promise<A>): Promise<A> => {
  const { answer } = await sql.begin(async (tx) => {
    try {
      return { answer: await run(tx) }
    } catch (error) {
      if (isBreak(error as { readonly code?: string; readonly severity?: string })) await new Promise<never>(() => {})
      throw error
    }
  })
  return answer as A
}

/** Either the driver has seen the end of the connection, or the server has said that it follows. */
const isBreak = ({ code = "", severity }: { readonly code?: string; readonly severity?: string }): boolean =>
  /^(CONNECTION_|E[A-Z]+$)/.test(code) || severity === "FATAL" || severity === "PANIC"
