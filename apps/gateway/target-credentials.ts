/** Whether the sets of credentials that targets name are there, and are for them; a delivery would find out an hour later. */
import { Effect } from "effect"
import { isFor, type OfferedSet, type Provider } from "../../domain/credential-sets.ts"
import type { ImageRequest } from "../../domain/compose-request.ts"
import type { TenantId } from "../../domain/ids.ts"
import { targetsOf } from "../../domain/job.ts"
import { Scheduling } from "../../domain/ports/scheduling.ts"
import type { Target } from "../../domain/target.ts"
import { credentialsOfTarget, needsCredentials, providerOfTarget } from "../../domain/target-credentials.ts"
import { credentialSetsOf } from "../credentials.ts"
import type { Fault } from "./api/problems.ts"
import { badRequest } from "./faults.ts"

export interface Placed {
  readonly path: string
  readonly target: Target
}

/** Fails with what is wrong, each with its place in the request. */
export const checkTargetCredentials = Effect.fnUntraced(function*(tenantId: TenantId, images: ReadonlyArray<ImageRequest>) {
  const placed = images.flatMap((image, at) => targetsOf(image).map((target, place): Placed => ({ target, path: `images[${at}].targets[${place}].credentials` })))
  const faults = yield* targetFaults(tenantId, placed)
  if (faults.length > 0) return yield* badRequest(faults)
})

export const targetFaults = Effect.fnUntraced(function*(tenantId: TenantId, placed: ReadonlyArray<Placed>) {
  if (placed.every(({ target }) => target.type === "file")) return []
  const providers = yield* providersOf(tenantId, new Set(placed.flatMap(({ target }) => credentialsOfTarget(target) ?? [])))
  return placed.flatMap((each) => faultOf(each, providers) ?? [])
})

/** Workers' sets go before the tenant's, so either may be right. The scheduler is asked only for what the tenant does not have. */
export const providersOf = Effect.fnUntraced(function*(tenantId: TenantId, names: ReadonlySet<string>) {
  const own = names.size === 0 ? new Map<string, { readonly provider: Provider }>() : yield* credentialSetsOf(tenantId)
  const found = new Map([...names].map((name) => [name, new Set([own.get(name)?.provider].filter((each) => each !== undefined))]))
  if (![...found.values()].some(({ size }) => size === 0)) return found
  for (const { name, provider } of yield* offeredTo(tenantId)) found.get(name)?.add(provider)
  return found
})

/** What operators have given to workers for this tenant. */
export const offeredTo = Effect.fnUntraced(function*(tenantId: TenantId) {
  const workers = yield* (yield* Scheduling).workers()
  return workers.flatMap(({ credentials = [] }): ReadonlyArray<OfferedSet> => credentials).filter((set) => isFor(set, tenantId))
})

const faultOf = ({ path, target }: Placed, providers: ReadonlyMap<string, ReadonlySet<Provider>>): Fault | undefined => {
  const name = credentialsOfTarget(target)
  if (name === undefined) return needsCredentials(target) ? { in: "body", path, message: "is missing" } : undefined
  const found = providers.get(name) ?? new Set()
  if (found.size === 0) return { in: "body", path, message: `there is no set of credentials named ${name}` }
  const wanted = providerOfTarget(target)!
  return found.has(wanted) ? undefined : { in: "body", path, message: `the set of credentials named ${name} is not for ${wanted}, but for ${[...found].join(", ")}` }
}
