/** Hands a job's secrets to the worker that runs it, and to nobody else. */
import { Effect } from "effect"
import { ComposeDecider } from "../../domain/compose.ts"
import { fold } from "../../domain/decider.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { Sealer } from "../../domain/ports/sealer.ts"
import { composeRef } from "../../domain/recorded.ts"
import type { Claim, Speaker } from "../../domain/work.ts"

/** `undefined` refuses: the attempt is not running, or runs elsewhere, or its secrets are erased. */
export const secretsFor = Effect.fn("secretsFor")(function*(speaker: Speaker, claim: Claim) {
  const log = yield* EventLog
  const sealer = yield* Sealer
  const { recorded } = yield* log.read(composeRef(claim.tenantId, claim.composeId))
  const compose = fold(ComposeDecider, recorded.flatMap(({ events }) => events))
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
