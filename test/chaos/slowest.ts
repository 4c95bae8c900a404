import type { LogEntry } from "../../domain/recorded.ts"
import type { Promised } from "./clients.ts"

/** The longest that anybody waited from the first try to the last word of the log on it, in milliseconds. */
export const slowestOf = (promised: ReadonlyArray<Promised>, log: ReadonlyArray<LogEntry>): number => {
  const ended = new Map<string, number>(log.flatMap((entry) => entry._tag === "Recorded" ? [[`${entry.tenantId}/${entry.id}`, entry.at] as const] : []))
  const took = promised.flatMap(({ ask: { tenant }, askedAt, ids }) => ids.map((id) => (ended.get(`${tenant}/${id}`) ?? askedAt) - askedAt))
  return took.reduce((longest, millis) => Math.max(longest, millis), 0)
}
