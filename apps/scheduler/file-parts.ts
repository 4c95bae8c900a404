/** Hands the stored files that a job's request names to the worker that runs it, and to nobody else. */
import { Effect } from "effect"
import type { FilePart } from "../../domain/ports/work.ts"
import { StoredFiles } from "../../domain/ports/stored-files.ts"
import type { Claim, Speaker } from "../../domain/work.ts"
import { type ComposeCache, seeCompose } from "./compose-cache.ts"
import { holds } from "./secrets.ts"

/** `undefined` refuses: the attempt is not running, or runs elsewhere, or has nothing to do with that file. */
export const filePartFor = Effect.fn("filePartFor")(function*(cache: ComposeCache, speaker: Speaker, claim: Claim, { digest, index }: FilePart) {
  const { compose } = yield* seeCompose(cache, claim.tenantId, claim.composeId)
  const job = compose.jobs.get(claim.jobId)
  const isNamed = compose.request?.customizations?.files?.some((file) => file.digest === digest) ?? false
  if (job?.kind !== "build" || !isNamed || !holds(speaker, claim, compose, job)) return undefined
  return (yield* (yield* StoredFiles).part(claim.tenantId, digest, index)) ?? "gone"
}, Effect.catch((error) => Effect.as(Effect.logWarning("a part of a file was refused", { reason: error._tag }), undefined)))
