/** Hands a job's secrets to the worker that runs it, and to nobody else. */
import { Effect } from "effect"
import { type Compose, isLive, type Job } from "../../domain/compose-state.ts"
import type { TenantId } from "../../domain/ids.ts"
import { targetsOf } from "../../domain/job.ts"
import { Sealer } from "../../domain/ports/sealer.ts"
import { credentialsOfTarget } from "../../domain/target-credentials.ts"
import type { Claim, Speaker } from "../../domain/work.ts"
import { credentialSetsOf } from "../credentials.ts"
import { readCompose } from "../read-compose.ts"

/** `undefined` refuses: the attempt is not running, or runs elsewhere, or its secrets are erased. */
export const secretsFor = Effect.fn("secretsFor")(function*(speaker: Speaker, claim: Claim) {
  const { compose } = yield* readCompose(claim.tenantId, claim.composeId)
  const job = compose.jobs.get(claim.jobId)
  if (job === undefined || !holds(speaker, claim, compose, job)) return undefined
  return job.target === undefined ? yield* passwords(claim.tenantId, compose) : yield* credentials(claim.tenantId, compose, job, job.target)
}, Effect.catch((error) => Effect.as(Effect.logWarning("secrets were refused", { reason: error._tag }), undefined)))

export const holds = (speaker: Speaker, claim: Claim, compose: Compose, job: Job): boolean =>
  isLive(compose, job) && job.state === "running" && job.worker === speaker.worker &&
  job.token === claim.token && job.attempt === claim.attempt

const passwords = Effect.fnUntraced(function*(tenantId: TenantId, { request }: Compose) {
  const sealer = yield* Sealer
  const secrets = new Map<string, string>()
  for (const { name, password } of request?.customizations?.users ?? []) {
    if (password !== undefined) secrets.set(`users.${name}.password`, yield* sealer.open(tenantId, password))
  }
  return secrets
})

/** Nothing, where the tenant has no set of that name: then the worker's operator has, or nobody. */
const credentials = Effect.fnUntraced(function*(tenantId: TenantId, { request }: Compose, { image }: Job, place: number) {
  const wanted = request?.images[image]
  const target = wanted && targetsOf(wanted)[place]
  const name = target && credentialsOfTarget(target)
  const set = name === undefined ? undefined : (yield* credentialSetsOf(tenantId)).get(name)
  return set === undefined ? new Map<string, string>() : new Map([["credentials", yield* (yield* Sealer).open(tenantId, set.sealed)]])
})
