/** For commands past the gateway, where nobody has a token: what they do is on record as by the user of this machine. */
import { hostname, userInfo } from "node:os"
import { Effect, Exit, Schema } from "effect"
import { TenantId } from "../../domain/ids.ts"
import type { Actor } from "../../domain/recorded.ts"
import { onRecord, type OperationOn } from "../operations.ts"
import { commandFailed } from "./command-failed.ts"

const userHere = (): string => {
  try {
    return userInfo().username
  } catch {
    return `user ${process.getuid?.() ?? "?"}`
  }
}

const decodeTenant = Schema.decodeUnknownExit(TenantId)

export const tenantNamed = (flag: string, name: string) => {
  const decoded = decodeTenant(name)
  return Exit.isSuccess(decoded) ? Effect.succeed(decoded.value) : Effect.fail(commandFailed("invalid", `${flag} is not the name of a tenant`))
}

export const actorHere = (): Actor => ({ kind: "operator", id: `${userHere()}@${hostname()}` })

/** `tenantId`: whose things it is done to; else it is the installation's. */
export const onRecordHere = <A, E extends { readonly message: string }, R>(operation: OperationOn<A>, effect: Effect.Effect<A, E, R>, tenantId?: TenantId) =>
  Effect.suspend(() => onRecord({
    tenantId: tenantId ?? TenantId.make(process.env["KILN_OPERATOR_TENANT"] ?? "default"),
    actor: actorHere()
  }, operation, effect))
