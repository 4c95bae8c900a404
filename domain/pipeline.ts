/** A pipeline: what was declared, the builds that came of it, and which of them its name stands for. */
import { Result, Schema } from "effect"
import type { Decider } from "./decider.ts"
import type { ComposeId, Digest, Millis } from "./ids.ts"
import type { Failure } from "./job.ts"
import { canonical } from "./manifest.ts"
import type { DeclarePipeline, EndBuild, EndCheck, PipelineCommand, PromoteBuild } from "./pipeline-commands.ts"
import type { BuildEnded, BuildReason, BuildRequested, PipelineDefinition, PipelineEvent, PipelineMeans, QuotaRefusal } from "./pipeline-events.ts"
import { dueOf, usualPauseAfter } from "./pipeline-due.ts"

/**
 * `Changed`: it is not what it was when somebody looked. `NoSuchBuild`: or one so old that it is forgotten. `NotGood`: it has
 * not ended, or not well.
 */
export class PipelineRejected extends Schema.TaggedError<PipelineRejected>()("PipelineRejected", {
  reason: Schema.Literals(["NotFound", "Paused", "Changed", "NoSuchBuild", "NotGood"])
}) {}

export interface Build {
  readonly number: number
  readonly composeId: ComposeId
  readonly why: BuildReason
  readonly requestedAt: Millis
  /** `version` of what it was built from. */
  readonly version: number
  readonly outcome?: Exclude<typeof BuildEnded.Type["outcome"], "never-requested">
  readonly endedAt?: Millis
  readonly packages?: Digest
  readonly failure?: Failure
}

export interface GoodBuild extends Build {
  readonly endedAt: Millis
}

/** Plain data, so that it can be a row's. */
export interface Pipeline {
  readonly status: "absent" | "declared" | "deleted"
  /** How often it was declared or changed. */
  readonly version: number
  readonly definition: PipelineDefinition | undefined
  readonly means: PipelineMeans | undefined
  readonly declaredAt: Millis
  readonly changedAt: Millis
  readonly paused: { readonly by: "failures" | "request"; readonly at: Millis } | undefined
  readonly checking: { readonly composeId: ComposeId; readonly at: Millis } | undefined
  /** The number of the build that is under way. */
  readonly building: number | undefined
  /** What has to be done whatever the schedule says, and since when. */
  readonly wanted: { readonly what: "build" | "check"; readonly why: BuildReason; readonly since: Millis } | undefined
  /** In a row, of builds and checks; `lastFailure` is of the last one. */
  readonly failures: number
  readonly lastFailure: { readonly what: "build" | "check"; readonly why: BuildReason; readonly at: Millis; readonly message: string } | undefined
  readonly delayed: { readonly at: Millis; readonly refusal: QuotaRefusal } | undefined
  /** When the schedule was last followed, or began to count. */
  readonly lookedAt: Millis
  readonly lastCheck: { readonly composeId: ComposeId; readonly at: Millis; readonly outcome: "same" | "different" | "failed" | "canceled" } | undefined
  readonly lastNumber: number
  readonly lastGood: GoodBuild | undefined
  readonly promoted: Build | undefined
  /** The newest first; of old ones only those that are named above are known. */
  readonly builds: ReadonlyArray<Build>
}

/** More would make a row heavy; nobody keeps so many. */
const mostBuilds = 100

const never = 0 as Millis
const initial: Pipeline = {
  status: "absent", version: 0, definition: undefined, means: undefined, declaredAt: never, changedAt: never, paused: undefined, checking: undefined,
  building: undefined, wanted: undefined, failures: 0, lastFailure: undefined, delayed: undefined, lookedAt: never, lastCheck: undefined, lastNumber: 0,
  lastGood: undefined, promoted: undefined, builds: []
}

const evolve = (pipeline: Pipeline, event: PipelineEvent): Pipeline => {
  const { at } = event
  switch (event._tag) {
    case "PipelineDeclared":
      return {
        ...initial, status: "declared", version: pipeline.version + 1, definition: event.definition, means: event.means, declaredAt: at, changedAt: at,
        wanted: { what: "build", why: "first", since: at }, lookedAt: at, lastNumber: pipeline.lastNumber
      }
    case "PipelineChanged":
      return changed(pipeline, event)
    case "BuildAsked":
      return { ...pipeline, wanted: { what: "build", why: "request", since: at } }
    case "CheckRequested":
      return { ...pipeline, checking: { composeId: event.composeId, at }, lookedAt: at, delayed: undefined, ...(pipeline.wanted?.what === "check" && { wanted: undefined }) }
    case "BuildSkipped":
      return { ...checked(pipeline, event, event.why === "canceled" ? "canceled" : "same"), failures: 0, lastFailure: undefined }
    case "DifferenceFound": {
      const { wanted = { what: "build", why: "packages", since: at } } = pipeline
      return { ...checked(pipeline, event, "different"), failures: 0, lastFailure: undefined, wanted }
    }
    case "CheckFailed":
      return { ...checked(pipeline, event, "failed"), ...failed(pipeline, "check", "schedule", at, event.failure) }
    case "BuildRequested":
      return requested(pipeline, event)
    case "BuildDelayed":
      return { ...pipeline, delayed: { at, refusal: event.refusal } }
    case "BuildEnded":
      return ended(pipeline, event)
    case "PipelinePromoted":
      return { ...pipeline, promoted: buildOf(pipeline, event.number) ?? pipeline.promoted }
    case "PipelinePaused":
      return { ...pipeline, paused: { by: event.by, at } }
    case "PipelineResumed": {
      const { lastFailure } = pipeline
      const again = lastFailure === undefined ? undefined : { what: lastFailure.what, why: lastFailure.why, since: at }
      return { ...pipeline, paused: undefined, failures: 0, lastFailure: undefined, wanted: pipeline.wanted ?? again }
    }
    case "PipelineDeleted":
      return { ...pipeline, status: "deleted", paused: undefined, checking: undefined, building: undefined, wanted: undefined, delayed: undefined, failures: 0, lastFailure: undefined }
  }
}

const changed = (pipeline: Pipeline, { at, definition, means }: Extract<PipelineEvent, { _tag: "PipelineChanged" }>): Pipeline => {
  const then = { ...pipeline, version: pipeline.version + 1, definition, means, changedAt: at }
  const rescheduled = canonical(definition.schedule) === canonical(pipeline.definition?.schedule) ? then : { ...then, lookedAt: at }
  if (!isOther(pipeline, definition, means)) return rescheduled
  // What is under way builds what was declared before.
  const why = pipeline.wanted?.why ?? (pipeline.lastGood === undefined ? "first" : "changed")
  return { ...rescheduled, failures: 0, lastFailure: undefined, wanted: { what: "build", why, since: at } }
}

/** Whether what is built differs, and not just when. */
const isOther = ({ definition, means }: Pipeline, other: PipelineDefinition, otherMeans: PipelineMeans): boolean =>
  canonical([definition?.request, means]) !== canonical([other.request, otherMeans])

const checked = (pipeline: Pipeline, { at, composeId }: { readonly at: Millis; readonly composeId: ComposeId }, outcome: NonNullable<Pipeline["lastCheck"]>["outcome"]): Pipeline =>
  ({ ...pipeline, checking: undefined, lastCheck: { composeId, at, outcome } })

const failed = ({ failures }: Pipeline, what: "build" | "check", why: BuildReason, at: Millis, failure: Failure | undefined): Pick<Pipeline, "failures" | "lastFailure"> =>
  ({ failures: failures + 1, lastFailure: { what, why, at, message: failure?.message ?? "it failed" } })

const requested = (pipeline: Pipeline, { at, composeId, number, why }: typeof BuildRequested.Type): Pipeline => {
  const build: Build = { number, composeId, why, requestedAt: at, version: pipeline.version }
  return { ...pipeline, building: number, lastNumber: number, lookedAt: at, wanted: undefined, delayed: undefined, builds: [build, ...pipeline.builds].slice(0, mostBuilds) }
}

const ended = (pipeline: Pipeline, event: typeof BuildEnded.Type): Pipeline => {
  const { at, failure, number, outcome, packages } = event
  const build = buildOf(pipeline, number)
  const idle = pipeline.building === number ? { ...pipeline, building: undefined } : pipeline
  if (build === undefined) return idle
  if (outcome === "never-requested") {
    return { ...idle, builds: idle.builds.filter((each) => each.number !== number), wanted: idle.wanted ?? { what: "build", why: build.why, since: at } }
  }
  const after: GoodBuild = { ...build, outcome, endedAt: at, ...(packages && { packages }), ...(outcome === "failed" && failure && { failure }) }
  const then = { ...idle, builds: idle.builds.map((each) => each.number === number ? after : each) }
  // Whoever cancels it does not want it at once again.
  if (outcome === "canceled") return { ...then, failures: 0, lastFailure: undefined }
  if (outcome === "failed") return { ...then, ...failed(then, "build", build.why, at, failure) }
  const isNewest = number >= (pipeline.lastGood?.number ?? 0)
  return isNewest ? { ...then, lastGood: after, failures: 0, lastFailure: undefined } : then
}

export const buildOf = ({ builds, lastGood, promoted }: Pipeline, number: number): Build | undefined =>
  builds.find((build) => build.number === number) ?? [promoted, lastGood].find((build) => build?.number === number)

type Decision = Result.Result<ReadonlyArray<PipelineEvent>, PipelineRejected>

const nothing: Decision = Result.succeed([])
const add = (...events: ReadonlyArray<PipelineEvent>): Decision => Result.succeed(events)
const reject = (reason: PipelineRejected["reason"]): Decision => Result.fail(new PipelineRejected({ reason }))

const decide = (command: PipelineCommand, pipeline: Pipeline): Decision => {
  if (command._tag === "DeclarePipeline") return declare(command, pipeline)
  if (pipeline.status !== "declared") return command._tag === "DeletePipeline" && pipeline.status === "deleted" ? nothing : reject("NotFound")
  const { at } = command
  switch (command._tag) {
    case "AskBuild":
      if (pipeline.paused !== undefined) return reject("Paused")
      return pipeline.wanted?.why === "request" ? nothing : add({ _tag: "BuildAsked", at })
    case "RequestCheck":
      return isDue(pipeline, "check", at) ? add({ _tag: "CheckRequested", at, composeId: command.composeId }) : nothing
    case "RequestBuild": {
      const { composeId, number, why } = command
      if (!isDue(pipeline, "build", at, why) || number !== pipeline.lastNumber + 1) return nothing
      return add({ _tag: "BuildRequested", at, composeId, number, why })
    }
    case "DelayBuild": {
      const known = pipeline.delayed?.refusal.rule === command.refusal.rule
      return known || !isDue(pipeline, "build", at, command.why) ? nothing : add({ _tag: "BuildDelayed", at, why: command.why, refusal: command.refusal })
    }
    case "EndCheck":
      return pipeline.checking?.composeId === command.composeId ? add(...endCheck(command, pipeline)) : nothing
    case "EndBuild":
      return add(...endBuild(command, pipeline))
    case "PromoteBuild":
      return promote(command, pipeline)
    case "PausePipeline":
      return pipeline.paused?.by === "request" ? nothing : add({ _tag: "PipelinePaused", at, by: "request" })
    case "ResumePipeline":
      return pipeline.paused === undefined ? nothing : add({ _tag: "PipelineResumed", at, by: "request" })
    case "DeletePipeline":
      return add({ _tag: "PipelineDeleted", at })
  }
}

export const PipelineDecider: Decider<Pipeline, PipelineEvent, PipelineCommand, PipelineRejected> = { initial, evolve, decide }

const declare = ({ at, definition, means, version }: typeof DeclarePipeline.Type, pipeline: Pipeline): Decision => {
  const isThere = pipeline.status === "declared"
  if (version !== undefined && version !== (isThere ? pipeline.version : 0)) return reject("Changed")
  if (!isThere) return add({ _tag: "PipelineDeclared", at, definition, means })
  if (canonical([definition, means]) === canonical([pipeline.definition, pipeline.means])) return nothing
  const resumed: ReadonlyArray<PipelineEvent> = pipeline.paused?.by === "failures" && isOther(pipeline, definition, means)
    ? [{ _tag: "PipelineResumed", at, by: "change" }] : []
  return add({ _tag: "PipelineChanged", at, definition, means }, ...resumed)
}

const isDue = (pipeline: Pipeline, what: "build" | "check", now: Millis, why?: BuildReason): boolean => {
  const due = dueOf(pipeline)
  return due !== undefined && due.what === what && due.at <= now && (why === undefined || due.why === why)
}

const endCheck = ({ at, composeId, result }: typeof EndCheck.Type, pipeline: Pipeline): ReadonlyArray<PipelineEvent> => {
  switch (result._tag) {
    case "Resolved": {
      const { packages } = result
      return packages === pipeline.lastGood?.packages
        ? [{ _tag: "BuildSkipped", at, composeId, why: "no-difference", packages }]
        : [{ _tag: "DifferenceFound", at, composeId, packages }]
    }
    case "Canceled":
      return [{ _tag: "BuildSkipped", at, composeId, why: "canceled" }]
    case "Failed":
      return [{ _tag: "CheckFailed", at, composeId, failure: result.failure }, ...pausedBy(pipeline, at)]
  }
}

/** A failed build may turn good yet, if somebody has its compose tried again. */
const endBuild = ({ _tag, ...end }: typeof EndBuild.Type, pipeline: Pipeline): ReadonlyArray<PipelineEvent> => {
  const { at, number, outcome } = end
  const build = buildOf(pipeline, number)
  if (build === undefined || (build.outcome !== undefined && !(build.outcome === "failed" && outcome === "good"))) return []
  const event: PipelineEvent = { _tag: "BuildEnded", ...end }
  if (outcome === "failed") return [event, ...pausedBy(pipeline, at)]
  const promotes = outcome === "good" && pipeline.definition?.promotion !== "manual" && number > (pipeline.promoted?.number ?? 0)
  return promotes ? [event, { _tag: "PipelinePromoted", at, number, by: "build" }] : [event]
}

const pausedBy = ({ definition, failures, paused }: Pipeline, at: Millis): ReadonlyArray<PipelineEvent> =>
  paused === undefined && failures + 1 >= (definition?.pauseAfter ?? usualPauseAfter) ? [{ _tag: "PipelinePaused", at, by: "failures" }] : []

const promote = ({ at, number }: typeof PromoteBuild.Type, pipeline: Pipeline): Decision => {
  const build = buildOf(pipeline, number)
  if (build === undefined) return reject("NoSuchBuild")
  if (build.outcome !== "good") return reject("NotGood")
  return pipeline.promoted?.number === number ? nothing : add({ _tag: "PipelinePromoted", at, number, by: "request" })
}
