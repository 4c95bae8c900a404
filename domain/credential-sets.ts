/** A tenant's named sets of credentials. Their values are sealed before they get here. */
import { Result, Schema } from "effect"
import { Credentials } from "./credentials.ts"
import type { Decider } from "./decider.ts"
import { TenantId } from "./ids.ts"
import { Sealed } from "./sealed.ts"
import { CredentialsName } from "./target.ts"

export const Provider = Schema.Union(Credentials.members.map((each) => each.fields.provider))
export type Provider = typeof Provider.Type

// Stored for good: cases and optional fields may be added here, nothing renamed or removed.
export const CredentialsEvent = Schema.TaggedUnion({
  /** Takes the place of one set before under that name. `fields`: which it has; `sealed`: the whole, as JSON text. */
  CredentialsSet: { name: CredentialsName, provider: Provider, fields: Schema.Array(Schema.String), sealed: Sealed },
  CredentialsRemoved: { name: CredentialsName }
})
export type CredentialsEvent = typeof CredentialsEvent.Type
export const { CredentialsSet, CredentialsRemoved } = CredentialsEvent.cases

export const CredentialsCommand = Schema.TaggedUnion({
  SetCredentials: { name: CredentialsName, provider: Provider, fields: Schema.Array(Schema.String), sealed: Sealed },
  RemoveCredentials: { name: CredentialsName }
})
export type CredentialsCommand = typeof CredentialsCommand.Type
export const { SetCredentials, RemoveCredentials } = CredentialsCommand.cases

export class CredentialsRejected extends Schema.TaggedError<CredentialsRejected>()("CredentialsRejected", {
  reason: Schema.Literals(["TooMany", "NotFound"])
}) {}

export const mostSets = 100

export type SetOfCredentials = Omit<typeof CredentialsSet.Type, "_tag" | "name">
export type CredentialSetsOfTenant = ReadonlyMap<string, SetOfCredentials>

const initial: CredentialSetsOfTenant = new Map()

const evolve = (sets: CredentialSetsOfTenant, event: CredentialsEvent): CredentialSetsOfTenant => {
  const { _tag, name, ...set } = event
  const after = new Map(sets)
  if (_tag === "CredentialsRemoved") after.delete(name)
  else after.set(name, set as SetOfCredentials)
  return after
}

type Decision = Result.Result<ReadonlyArray<CredentialsEvent>, CredentialsRejected>

const decide = (command: CredentialsCommand, sets: CredentialSetsOfTenant): Decision => {
  const { _tag, name, ...set } = command
  const known = sets.get(name)
  if (_tag === "RemoveCredentials") {
    return known === undefined ? Result.fail(new CredentialsRejected({ reason: "NotFound" })) : Result.succeed([CredentialsRemoved.make({ name })])
  }
  const wanted = set as SetOfCredentials
  if (known !== undefined && isSame(known, wanted)) return Result.succeed([])
  if (known === undefined && sets.size >= mostSets) return Result.fail(new CredentialsRejected({ reason: "TooMany" }))
  return Result.succeed([CredentialsSet.make({ name, ...wanted })])
}

/** Sealed anew, the same set has another ciphertext and the same fingerprint. */
const isSame = (one: SetOfCredentials, other: SetOfCredentials): boolean =>
  one.provider === other.provider && one.sealed.keyId === other.sealed.keyId && one.sealed.fingerprint === other.sealed.fingerprint

export const CredentialsDecider: Decider<CredentialSetsOfTenant, CredentialsEvent, CredentialsCommand, CredentialsRejected> = { initial, evolve, decide }

/** A set that an operator has given to a worker, without what is secret of it. Without `tenants` all may use it. */
export const OfferedSet = Schema.Struct({ name: CredentialsName, provider: Provider, tenants: Schema.optionalKey(Schema.Array(TenantId)) })
export type OfferedSet = typeof OfferedSet.Type

export const isFor = ({ tenants }: OfferedSet, tenantId: TenantId): boolean => tenants === undefined || tenants.includes(tenantId)
