/** What attempts have used, summed up. An attempt counts on the day on which it ended, in UTC. */
import type { Used } from "../domain/prices.ts"
import type { AttemptRow } from "./job-attempts.ts"

export type UsageBy = "total" | "day" | "compose" | "tenant"

/** `before`: the last key of the page before. */
export interface UsageQuery {
  readonly by: UsageBy
  readonly since?: number | undefined
  readonly until?: number | undefined
  readonly limit: number
  readonly before?: string | undefined
}

/** `key`: a day such as `2026-01-31`, a compose, a tenant, or nothing. `cpuMs` and `cloudCalls` only count what was reported. */
export interface UsageSum extends Used {
  readonly key: string
}

export const dayOf = (millis: number): string => new Date(millis).toISOString().slice(0, 10)

/** Of whole days, so that all pages of one answer are about the same. */
export const usualUsageSince = (now: number): number => Date.parse(`${dayOf(now - 31 * 24 * 3600_000)}T00:00:00Z`)

export const keyOfUsage = (by: UsageBy, row: Pick<AttemptRow, "composeId" | "endedAt" | "tenantId">): string => {
  switch (by) {
    case "total":
      return ""
    case "day":
      return dayOf(row.endedAt!)
    case "compose":
      return row.composeId
    case "tenant":
      return row.tenantId
  }
}

export const nothingUsed = (key: string): UsageSum =>
  ({ key, attempts: 0, buildMs: 0, testMs: 0, otherMs: 0, cpuMs: 0, storedBytes: 0, sentBytes: 0, cloudCalls: 0 })

export const withAttempt = (sum: UsageSum, { cloudCalls, cpuMs, kind, ranMs, sentBytes, storedBytes }: AttemptRow): UsageSum => ({
  key: sum.key,
  attempts: sum.attempts + 1,
  buildMs: sum.buildMs + (kind === "build" ? ranMs ?? 0 : 0),
  testMs: sum.testMs + (kind === "test" ? ranMs ?? 0 : 0),
  otherMs: sum.otherMs + (kind === "build" || kind === "test" ? 0 : ranMs ?? 0),
  cpuMs: sum.cpuMs + (cpuMs ?? 0),
  storedBytes: sum.storedBytes + storedBytes,
  sentBytes: sum.sentBytes + sentBytes,
  cloudCalls: sum.cloudCalls + (cloudCalls ?? 0)
})
