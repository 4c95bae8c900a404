/** Pipelines as the API shows them. */
import type { PipelineName } from "../../domain/ids.ts"
import { rulesOf } from "../../domain/pipeline-document.ts"
import { dueOf, usualPauseAfter, usualRetryAfterMs } from "../../domain/pipeline-due.ts"
import type { Build, Pipeline } from "../../domain/pipeline.ts"
import { spanText } from "../../domain/policy-document.ts"
import type { PipelineBuildView, PipelineDetails, PipelineStatus, PipelineView } from "./api/pipelines-api.ts"
import { time, withoutSecrets } from "./compose-details.ts"

/** Only what is declared is shown, so its definition is there. */
export const pipelineView = (name: PipelineName, pipeline: Pipeline): PipelineView => {
  const { builds: [last], changedAt, checking, declaredAt, definition, delayed, failures, lastCheck, lastFailure, paused, promoted, version } = pipeline
  const next = dueOf(pipeline)
  const { keep, max_age, pause_after = usualPauseAfter, promotion = "auto", retry_after = spanText(usualRetryAfterMs), schedule } = rulesOf(definition!)
  return {
    name, status: statusOf(pipeline), version, distribution: definition!.request.distribution, declared_at: time(declaredAt), changed_at: time(changedAt),
    ...(schedule && { schedule }), ...(max_age !== undefined && { max_age }), ...(keep !== undefined && { keep }), promotion, pause_after, retry_after,
    ...(next && { next: { ...next, at: time(next.at) } }),
    ...(paused && { paused: { ...paused, at: time(paused.at) } }),
    ...(delayed && { waiting_for: waitingFor(delayed) }),
    failures,
    ...(lastFailure && { last_failure: { what: lastFailure.what, at: time(lastFailure.at), message: lastFailure.message } }),
    ...(lastCheck && { last_check: { compose: lastCheck.composeId, at: time(lastCheck.at), outcome: lastCheck.outcome } }),
    ...(checking && { checking: checking.composeId }),
    ...(last && { last_build: buildView(last) }),
    ...(promoted && { promoted: buildView(promoted) })
  }
}

export const pipelineDetails = (name: PipelineName, pipeline: Pipeline): PipelineDetails =>
  ({ ...pipelineView(name, pipeline), compose: withoutSecrets(pipeline.definition!.request), builds: pipeline.builds.map(buildView) })

const statusOf = ({ building, checking, delayed, failures, paused }: Pipeline): PipelineStatus => {
  if (building !== undefined) return "building"
  if (checking !== undefined) return "checking"
  if (paused !== undefined) return "paused"
  if (delayed !== undefined) return "waiting"
  return failures > 0 ? "retrying" : "idle"
}

const waitingFor = ({ at, refusal: { limit, rule, until, used } }: NonNullable<Pipeline["delayed"]>) =>
  ({ rule, limit, used, since: time(at), ...(until !== undefined && { until: time(until) }) })

const buildView = ({ composeId, endedAt, failure, number, outcome, packages, requestedAt, why }: Build): PipelineBuildView => ({
  number, compose: composeId, why, status: outcome ?? "building", requested_at: time(requestedAt),
  ...(endedAt !== undefined && { ended_at: time(endedAt) }),
  ...(packages !== undefined && { packages }),
  ...(failure !== undefined && { failure })
})
