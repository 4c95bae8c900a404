/** The credentials of one delivery: the operator's own set of that name before the tenant's. */
import { Effect } from "effect"
import type { Credentials } from "../../domain/credentials.ts"
import type { TenantId } from "../../domain/ids.ts"
import { CredentialSets } from "../../domain/ports/credential-sets.ts"
import { BuildFailed, type Secrets } from "../../domain/ports/image-builder.ts"
import type { Target } from "../../domain/target.ts"
import { credentialsOfTarget, needsCredentials, providerOfTarget } from "../../domain/target-credentials.ts"

/** `secrets` is asked only where the worker has no set of its own. Without a set at all there is none, which some targets take. */
export const credentialsFor = Effect.fn("credentialsFor")(function*(
  target: Target, tenantId: TenantId, secrets: Effect.Effect<Secrets, { readonly message: string }>
) {
  const name = credentialsOfTarget(target)
  if (name === undefined) return needsCredentials(target) ? yield* unusable(`a target of type ${target.type} needs credentials`) : undefined
  const sets = yield* CredentialSets
  const own = yield* refused(sets.find(name, tenantId))
  const tenants = Effect.mapError(secrets, ({ message }) => new BuildFailed({ class: "platform", message }))
  const stored = own === undefined ? (yield* tenants).get("credentials") : undefined
  const found: Credentials | undefined = own ?? (stored === undefined ? undefined : yield* refused(sets.admit(stored)))
  if (found === undefined) return yield* unusable(`there is no set of credentials named ${name}, neither the tenant's nor on this worker`)
  const provider = providerOfTarget(target)
  if (found.provider !== provider) return yield* unusable(`the set of credentials named ${name} is for ${found.provider}, not for ${provider}`)
  return found
})

const unusable = (message: string) => new BuildFailed({ class: "user", message })

const refused = Effect.mapError(({ message }: { readonly message: string }) => unusable(message))
