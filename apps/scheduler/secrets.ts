/** Hands a job's secrets to the worker that runs it, and to nobody else. */
import { Effect } from "effect"
import { Sealer } from "../../domain/ports/sealer.ts"
import type { Claim, Speaker } from "../../domain/work.ts"
import { readCompose } from "../read-compose.ts"

/** `undefined` refuses: the attempt is not running, or runs elsewhere, or its secrets are erased. */
export const secretsFor = Effect.fn("secretsFor")(function*(speaker: Speaker, claim: Claim) {
  const sealer = yield* Sealer
  const { compose } = yield* readCompose(claim.tenantId, claim.composeId)
  const job = compose.jobs.get(claim.jobId)
  const holds = compose.status === "open" && job?.state === "running" && job.worker === speaker.worker &&
    job.token === claim.token && job.attempt === claim.attempt
  if (!holds) return undefined
  const secrets = new Map<string, string>()
  for (const { name, password } of compose.request?.customizations?.users ?? []) {
    if (password !== undefined) secrets.set(`users.${name}.password`, yield* sealer.open(claim.tenantId, password))
  }
  return secrets
}, Effect.catch((error) => Effect.as(Effect.logWarning("secrets were refused", { reason: error._tag }), undefined)))
