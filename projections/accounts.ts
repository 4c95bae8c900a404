/** One row a tenant that has an account: how much of its quota has been used, and what operators have set. */
import { Schema } from "effect"
import { Policy } from "../domain/policy.ts"
import type { Projection } from "./projection.ts"

/** Counts are over all time. `storedBytes`: since the tenant was first limited. Times are milliseconds since 1970. */
export const AccountRow = Schema.Struct({
  tenantId: Schema.String,
  /** Composes that were given a place. */
  reserved: Schema.Int,
  settled: Schema.Int,
  /** Places that were given back. */
  released: Schema.Int,
  storedBytes: Schema.Int,
  lastReservedAt: Schema.NullOr(Schema.Int),
  policy: Schema.NullOr(Policy),
  policySetAt: Schema.NullOr(Schema.Int),
  policySetBy: Schema.NullOr(Schema.String)
})
export type AccountRow = typeof AccountRow.Type

const opened = (tenantId: string): AccountRow => ({
  tenantId, reserved: 0, settled: 0, released: 0, storedBytes: 0, lastReservedAt: null, policy: null, policySetAt: null, policySetBy: null
})

export const accounts: Projection<AccountRow, "account"> = {
  name: "accounts",
  version: 1,
  aggregates: ["account"],
  row: AccountRow,
  columns: {
    tenantId: { type: "text" },
    reserved: { type: "bigint" },
    settled: { type: "bigint" },
    released: { type: "bigint" },
    storedBytes: { type: "bigint" },
    lastReservedAt: { type: "millis", nullable: true },
    policy: { type: "json", nullable: true },
    policySetAt: { type: "millis", nullable: true },
    policySetBy: { type: "text", nullable: true }
  },
  key: [],
  indexes: [],
  acrossTenants: true,
  about: () => ({}),
  evolve: (row, { event, recorded: { actor, at, tenantId } }) => {
    const account = row ?? opened(tenantId)
    switch (event._tag) {
      case "PolicySet":
        return { ...account, policy: event.policy, policySetAt: at, policySetBy: actor.id }
      case "PolicyCleared":
        return { ...account, policy: null, policySetAt: at, policySetBy: actor.id }
      case "QuotaReserved":
        return { ...account, reserved: account.reserved + event.composes.length, lastReservedAt: event.at }
      case "QuotaSettled":
        return {
          ...account, settled: account.settled + event.composes.length,
          storedBytes: event.composes.reduce((total, { bytes }) => total + bytes, account.storedBytes)
        }
      case "QuotaReleased":
        return { ...account, released: account.released + event.composeIds.length }
      case "BytesFreed":
        return { ...account, storedBytes: Math.max(0, account.storedBytes - event.bytes) }
      default:
        return account
    }
  }
}
