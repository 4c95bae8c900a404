/** Reports of one compose become commands, as `apps/scheduler/take-reports.ts` has it. */
import type { ComposeCache } from "../../apps/scheduler/compose-cache.ts"
import type { ComposeCommand } from "../../domain/compose-commands.ts"
import type { Compose } from "../../domain/compose-state.ts"
import type { JobOutcome } from "../../domain/job.ts"
import { type Claim, type Speaker, speakerKey, type WorkOutcome, type WorkReport } from "../../domain/work.ts"
import { decideOn, seeCompose } from "./deciding.ts"
import type { Process, Task, Unavailable } from "./process.ts"

export type AttemptReport = Exclude<WorkReport, { readonly _tag: "SessionBegan" }>

/** Answers with the claims that are not this worker's any more. */
export function* takeReports(process: Process, cache: ComposeCache, speaker: Speaker, reports: ReadonlyArray<AttemptReport>):
  Task<ReadonlyArray<Claim> | "start awaited" | Unavailable> {
  const { composeId, tenantId } = reports[0]!.claim
  const messageId = reports.map(({ _tag, claim }) => `${claim.jobId}/${claim.token}/${_tag}`).join("+")
  const commands = reports.map((report) => commandOf(process, speaker, report))
  const rejected = yield* decideOn(process, cache, composeId, { tenantId, messageId, actor: { kind: "worker", id: speakerKey(speaker) } }, commands)
  if (rejected === "unavailable") return rejected
  const refused = reports.filter((_, at) => rejected.has(at))
  if (refused.length === 0) return []
  const seen = yield* seeCompose(process, cache, tenantId, composeId)
  if (seen === "unavailable") return seen
  // The end must wait for its start, or that begins an attempt which nobody will ever end.
  const isEarly = refused.some((report) => report._tag !== "AttemptStarted" && mayBegin(seen.compose, report.claim))
  return isEarly ? "start awaited" : refused.map(({ claim }) => claim)
}

const mayBegin = (compose: Compose, { attempt, jobId, token }: Claim): boolean => {
  const job = compose.jobs.get(jobId)
  if (compose.status !== "open" || job?.attempt !== attempt) return false
  return job.state === "queued" || (job.state === "running" && job.token === token)
}

const commandOf = (process: Process, speaker: Speaker, report: AttemptReport): ComposeCommand => {
  const { attempt, composeId, jobId, token } = report.claim
  const claim = { composeId, jobId, attempt, token }
  switch (report._tag) {
    case "AttemptStarted":
      return { _tag: "StartJob", ...claim, worker: speaker.worker }
    case "AttemptSucceeded":
      return { _tag: "SucceedJob", ...claim, outcome: outcomeOf(speaker, report.outcome) }
    case "AttemptFailed": {
      const { clock, random } = process.world
      const { failure, imageGone } = report
      const verdict = report.report && { report: { accelerator: report.report.accelerator, boots: [] } }
      return { _tag: "FailJob", ...claim, now: clock.now as never, jitter: random.next(), failure, ...(imageGone !== undefined && { imageGone }), ...verdict }
    }
    case "AttemptReturned":
      return { _tag: "ReturnJob", ...claim }
  }
}

const outcomeOf = (speaker: Speaker, outcome: WorkOutcome): JobOutcome => {
  switch (outcome._tag) {
    case "Resolved":
      return { _tag: "Resolved", lock: { digest: `sha256:${"0".repeat(64)}` as never, size: 1 }, packages: 0, downloadBytes: 0 }
    case "Built": {
      const { evidence: _, ...built } = outcome
      return { ...built, heldBy: speaker.worker }
    }
    case "Verified":
      return { ...outcome, by: speaker.worker }
    case "Tested":
      return { _tag: "Tested", verdict: outcome.verdict }
    case "Uploaded":
    case "Removed":
      return outcome
  }
}
