/** Takes one pipeline as far as it can go now: what has ended is taken in, what is due is asked for. */
import { Clock, Effect, Metric } from "effect"
import { v7 } from "uuid"
import { admission, type QuotaExceeded, ReserveQuota } from "../../domain/account.ts"
import type { ComposeCommand } from "../../domain/compose-commands.ts"
import { estimatedBytes } from "../../domain/compose-ending.ts"
import { type ComposeId, Millis, type PipelineName, type TenantId } from "../../domain/ids.ts"
import type { PipelineCommand } from "../../domain/pipeline-commands.ts"
import { type Due, dueOf } from "../../domain/pipeline-due.ts"
import type { QuotaRefusal } from "../../domain/pipeline-events.ts"
import type { Pipeline } from "../../domain/pipeline.ts"
import { hasQuota, type Policy } from "../../domain/policy.ts"
import { Accounts } from "../accounts.ts"
import { executeFirst, type Intent } from "../execute.ts"
import { executeOnPipeline, type KnownPipeline, readPipeline } from "../pipelines.ts"
import { pipelineBuilds, pipelineChecks } from "./metrics.ts"
import { buildCommand, checkCommand, composeEnd, composeIdOf } from "./pipeline-composes.ts"

export interface Advancing {
  readonly tenantId: TenantId
  readonly name: PipelineName
  /** The tenant's, with what operators have set, and by the policy file alone. */
  readonly policy: Policy
  readonly standing: Policy
}

/** When to come again, if nothing is heard before. */
export interface Advanced extends KnownPipeline {
  readonly again: number | undefined
}

const actor = { kind: "system", id: "pipelines" } as const
/** More steps than this do not follow from each other. */
const mostSteps = 8
/** A quota that says no time may have room again at any. */
const refusedForMs = 10 * 60_000

const intentOf = Effect.fnUntraced(function*(tenantId: TenantId) {
  return { tenantId, messageId: v7(), at: Millis.make(yield* Clock.currentTimeMillis), actor } satisfies Intent
})

/** From the log, not from memory: whoever is behind must not act. */
export const advancePipeline = Effect.fn("advancePipeline")(function*(advancing: Advancing) {
  const { name, tenantId } = advancing
  let known: KnownPipeline = yield* readPipeline(tenantId, name)
  for (let step = 0; step < mostSteps; step++) {
    const next = yield* stepOf(advancing, known.pipeline)
    if (typeof next !== "object") return { ...known, again: next } satisfies Advanced
    known = yield* executeOnPipeline(yield* intentOf(tenantId), name, next).pipe(
      Effect.catchTag("PipelineRejected", () => readPipeline(tenantId, name)))
    yield* count(next)
  }
  return { ...known, again: yield* Clock.currentTimeMillis } satisfies Advanced
})

/** The next command, or when there will be one. */
const stepOf = Effect.fnUntraced(function*(advancing: Advancing, pipeline: Pipeline) {
  const ended = yield* endOf(advancing, pipeline)
  if (ended !== undefined) return ended
  const due = dueOf(pipeline)
  const now = Millis.make(yield* Clock.currentTimeMillis)
  if (due === undefined || due.at > now) return due?.at
  return due.what === "check" ? check(advancing, now) : yield* build(advancing, pipeline, due, now)
})

const check = ({ name, tenantId }: Advancing, at: Millis): PipelineCommand => ({ _tag: "RequestCheck", at, composeId: composeIdOf(tenantId, name, "check", at) })

/** Room in the quota first: what was asked for is a promise. Should all stop here, the reservation runs out by itself. */
const build = Effect.fnUntraced(function*(advancing: Advancing, pipeline: Pipeline, { why }: Due, at: Millis) {
  const { name, tenantId } = advancing
  const number = pipeline.lastNumber + 1
  const composeId = composeIdOf(tenantId, name, number, at)
  const refused = yield* reserve(advancing, composeId, estimatedBytes(pipeline.definition!.request))
  if (refused === undefined) return { _tag: "RequestBuild", at, composeId, number, why } satisfies PipelineCommand
  if (pipeline.delayed?.refusal.rule !== refused.rule) return { _tag: "DelayBuild", at, why, refusal: refusalOf(refused) } satisfies PipelineCommand
  return Math.min(refused.resetsAt ?? Infinity, at + refusedForMs)
})

const refusalOf = ({ limit, resetsAt, rule, used }: QuotaExceeded): QuotaRefusal => ({ rule, limit, used, ...(resetsAt !== undefined && { until: resetsAt }) })

const reserve = Effect.fnUntraced(function*({ policy, standing, tenantId }: Advancing, composeId: ComposeId, bytes: number) {
  if (!hasQuota(policy)) return undefined
  const intent = yield* intentOf(tenantId)
  const command = ReserveQuota.make({ now: intent.at, standing, composes: [{ composeId, bytes }] })
  const { before } = yield* (yield* Accounts).execute(intent, command)
  return admission(command, before).refused.get(composeId)
})

/** What has come of the compose that is waited for; it is asked for, if nobody has come to that yet. */
const endOf = Effect.fnUntraced(function*({ name, tenantId }: Advancing, pipeline: Pipeline) {
  if (pipeline.status !== "declared") return undefined
  const { building, builds: [newest], checking } = pipeline
  const at = Millis.make(yield* Clock.currentTimeMillis)
  if (checking !== undefined) {
    const { composeId } = checking
    const end = yield* requested(tenantId, composeId, checkCommand(name, pipeline, composeId))
    switch (end._tag) {
      case "succeeded":
        return end.packages === undefined
          ? { _tag: "EndCheck", at, composeId, result: { _tag: "Failed", failure: { class: "platform", message: "what it was resolved to is not there" } } } satisfies PipelineCommand
          : { _tag: "EndCheck", at, composeId, result: { _tag: "Resolved", packages: end.packages } } satisfies PipelineCommand
      case "failed":
        return { _tag: "EndCheck", at, composeId, result: { _tag: "Failed", failure: end.failure } } satisfies PipelineCommand
      case "canceled":
      case "never":
        return { _tag: "EndCheck", at, composeId, result: { _tag: "Canceled" } } satisfies PipelineCommand
      default:
        return undefined
    }
  }
  if (newest === undefined || (newest.number !== building && newest.outcome !== "failed")) return undefined
  const { composeId, number } = newest
  const isOpen = number === building
  const end = isOpen ? yield* requested(tenantId, composeId, buildCommand(name, pipeline, number, composeId)) : yield* composeEnd(tenantId, composeId)
  switch (end._tag) {
    case "succeeded":
      return { _tag: "EndBuild", at, number, outcome: "good", ...(end.packages && { packages: end.packages }) } satisfies PipelineCommand
    case "failed":
      return isOpen ? { _tag: "EndBuild", at, number, outcome: "failed", failure: end.failure } satisfies PipelineCommand : undefined
    case "canceled":
    case "never":
      return isOpen ? { _tag: "EndBuild", at, number, outcome: end._tag === "never" ? "never-requested" : "canceled" } satisfies PipelineCommand : undefined
    default:
      return undefined
  }
})

const requested = Effect.fnUntraced(function*(tenantId: TenantId, composeId: ComposeId, command: ComposeCommand) {
  const end = yield* composeEnd(tenantId, composeId)
  if (end._tag !== "absent") return end
  const intent = { ...(yield* intentOf(tenantId)), messageId: `request-${composeId}` }
  // It was absent a moment ago, and to ask for what is there adds nothing.
  yield* Effect.catchTag(executeFirst(intent, command), "ComposeRejected", Effect.die)
  return end
})

const count = (command: PipelineCommand) => {
  if (command._tag === "EndBuild") return Metric.update(Metric.withAttributes(pipelineBuilds, { outcome: command.outcome }), 1)
  return command._tag === "EndCheck" ? Metric.update(Metric.withAttributes(pipelineChecks, { outcome: command.result._tag.toLowerCase() }), 1) : Effect.void
}
