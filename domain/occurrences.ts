/** What happens, as those outside are told of it: only what tenants may know, by names that stay. Pure. */
import type { ComposeEvent } from "./compose-events.ts"
import type { ComposeFacts, ComposeStatus } from "./compose-facts.ts"
import { type Failure, imageOf, type JobOutcome } from "./job.ts"
import type { PipelineEvent } from "./pipeline-events.ts"
import type { Recorded } from "./recorded.ts"
import type { WebhooksEvent } from "./webhooks.ts"
import type { WebhookId, WebhookType } from "./webhook-settings.ts"

type Data = Readonly<Record<string, unknown>>

/** What filters look at. */
export interface About {
  readonly distribution: string
  readonly labels: Readonly<Record<string, string>>
  readonly status: ComposeStatus
  readonly imageTypes: ReadonlyArray<string>
  readonly targets: ReadonlyArray<string>
}

export interface Occurrence {
  /** The same for whoever reads the same log: aggregate, id, revision and place in its decision, without a dot, which parts what is signed. */
  readonly id: string
  readonly type: WebhookType
  readonly subject: string
  readonly at: number
  readonly position: Recorded["position"]
  /** What order is kept within. */
  readonly lane: string
  readonly data: Data
  /** Absent of what is about no compose. */
  readonly about?: About
  /** Who alone is told, whatever it has asked for. */
  readonly only?: WebhookId
}

type Told = Pick<Occurrence, "type" | "subject" | "data" | "about" | "only">

const occurrence = ({ aggregate, at, id, position, revision }: Recorded, place: number, told: Told): Occurrence =>
  ({ id: `${aggregate}_${id}_${revision}_${place}`, at, position, lane: `${aggregate}.${id}`, ...told })

/** `facts`: of the compose once all of the decision has happened. */
export const composeOccurrences = (recorded: Recorded<"compose">, facts: ComposeFacts): ReadonlyArray<Occurrence> =>
  recorded.events.flatMap((event, place) => {
    const told = ofCompose(event, facts)
    return told === undefined ? [] : [occurrence(recorded, place, told)]
  })

export const webhooksOccurrences = (recorded: Recorded<"webhooks">): ReadonlyArray<Occurrence> =>
  recorded.events.flatMap((event, place) => {
    const told = ofWebhooks(event)
    return told === undefined ? [] : [occurrence(recorded, place, told)]
  })

export const pipelineOccurrences = (recorded: Recorded<"pipeline">): ReadonlyArray<Occurrence> =>
  recorded.events.flatMap((event, place) => {
    const told = ofPipeline(event, recorded.id)
    return told === undefined ? [] : [occurrence(recorded, place, told)]
  })

const ofPipeline = (event: PipelineEvent, pipeline: string): Told | undefined => {
  const subject = `pipelines/${pipeline}`
  switch (event._tag) {
    case "BuildEnded":
      if (event.outcome !== "good" && event.outcome !== "failed") return undefined
      return {
        type: event.outcome === "good" ? "kiln.pipeline.built" : "kiln.pipeline.failed", subject,
        data: { pipeline, number: event.number, ...(event.failure !== undefined && { failure: failureData(event.failure) }) }
      }
    case "PipelinePromoted":
      return { type: "kiln.pipeline.promoted", subject, data: { pipeline, number: event.number, by: event.by } }
    case "PipelinePaused":
      return { type: "kiln.pipeline.paused", subject, data: { pipeline, by: event.by } }
    case "PipelineResumed":
      return { type: "kiln.pipeline.resumed", subject, data: { pipeline, by: event.by } }
    default:
      return undefined
  }
}

const ofWebhooks = (event: WebhooksEvent): Told | undefined => {
  const subject = `webhooks/${event.webhookId}`
  switch (event._tag) {
    case "WebhookDisabled":
      return {
        type: "kiln.webhook.disabled", subject,
        data: {
          webhook_id: event.webhookId, because: event.because,
          ...(event.failingSince !== undefined && { failing_since: time(event.failingSince) }), ...(event.lastError !== undefined && { last_error: event.lastError })
        }
      }
    case "WebhookTested":
      return { type: "kiln.webhook.test", subject, data: { webhook_id: event.webhookId }, only: event.webhookId }
    default:
      return undefined
  }
}

const ofCompose = (event: ComposeEvent, facts: ComposeFacts): Told | undefined => {
  const of = (type: WebhookType, more: Data = {}): Told =>
    ({ type, subject: `composes/${event.composeId}`, data: { ...composeData(event, facts), ...more }, about: aboutOf(facts) })
  switch (event._tag) {
    case "ComposeRequested":
      return of("kiln.compose.requested")
    case "ComposeReopened":
      return of("kiln.compose.reopened")
    case "ComposeFinished":
      return event.outcome === "succeeded" ? of("kiln.compose.succeeded") : of("kiln.compose.failed", facts.failure && { failure: facts.failure })
    case "ComposeCanceled":
      return of("kiln.compose.canceled", event.reason === undefined ? {} : { reason: event.reason })
    case "JobStarted":
      return ofJob("kiln.job.started", event, facts)
    case "JobReturned":
      return ofJob("kiln.job.returned", event, facts)
    case "JobCanceled":
      return ofJob("kiln.job.canceled", event, facts)
    case "JobFailed":
      return ofJob("kiln.job.failed", event, facts, { failure: failureData(event.failure), final: event.final })
    case "JobLost":
      return ofJob("kiln.job.lost", event, facts, { reason: event.reason, final: event.final })
    case "JobSucceeded":
      return ofJob(typeOfOutcome[event.outcome._tag], event, facts, outcomeData(event.outcome))
    case "CopyRemoved":
      return ofJob("kiln.image.removed", { ...event, jobId: `${event.image}-upload-${event.target}` }, facts, { reason: event.reason })
    case "JobQueued":
    case "ImageGone":
    case "CopyCondemned":
    case "LeftoversCondemned":
      return undefined
  }
}

const typeOfOutcome: Record<JobOutcome["_tag"], WebhookType> = {
  Resolved: "kiln.job.succeeded", Removed: "kiln.job.succeeded",
  Built: "kiln.image.built", Verified: "kiln.image.verified", Tested: "kiln.image.tested", Uploaded: "kiln.image.delivered"
}

interface OfJob {
  readonly composeId: string
  /** `<image>-<kind>`, or `<image>-<kind>-<target>`. */
  readonly jobId: string
  readonly attempt?: number
}

const ofJob = (type: WebhookType, { attempt, composeId, jobId }: OfJob, facts: ComposeFacts, more: Data = {}): Told => {
  const [index, kind, at] = jobId.split("-")
  const image = facts.images[Number(imageOf(jobId as never))]
  const target = at === undefined ? undefined : image?.targets[Number(at)]
  return {
    type, subject: `composes/${composeId}/jobs/${jobId}`,
    data: {
      ...composeData({ composeId }, facts), job_id: jobId, kind, ...(attempt !== undefined && { attempt }),
      image: { index: Number(index), architecture: image?.architecture, type: image?.type },
      ...(target !== undefined && { target: { index: Number(at), type: target } }), ...more
    },
    about: { ...aboutOf(facts), imageTypes: image === undefined ? [] : [image.type], targets: target === undefined ? image?.targets ?? [] : [target] }
  }
}

const composeData = ({ composeId }: { readonly composeId: string }, { distribution, images, labels, name, status }: ComposeFacts): Data => ({
  compose_id: composeId, status, distribution, ...(name !== undefined && { name }), labels, images
})

const aboutOf = ({ distribution, images, labels, status }: ComposeFacts): About => ({
  distribution, labels, status, imageTypes: images.map(({ type }) => type), targets: images.flatMap(({ targets }) => targets)
})

const failureData = ({ class: of, message }: Failure): Data => ({ class: of, message })

const artifactData = ({ digest, filename, format, size }: { readonly digest: string; readonly filename: string; readonly format: string; readonly size: number }): Data =>
  ({ digest, size, format, filename })

/** Image facts alone: what a target was asked with, logs and consoles are to be had by the API. */
const outcomeData = (outcome: JobOutcome): Data => {
  switch (outcome._tag) {
    case "Resolved":
      return { packages: outcome.packages, download_bytes: outcome.downloadBytes }
    case "Built":
      return { manifest: outcome.manifest, artifact: artifactData(outcome.artifact), reused: outcome.reused }
    case "Verified":
      return { verdict: outcome.verdict, manifest: outcome.manifest, artifact: artifactData(outcome.artifact) }
    case "Tested":
      return { verdict: outcome.verdict, ...(outcome.reason !== undefined && { reason: outcome.reason }) }
    case "Uploaded":
      return { artifact: artifactData(outcome.artifact), ...(outcome.copy !== undefined && { copy: copyData(outcome.copy) }) }
    case "Removed":
      return {}
  }
}

const copyData = ({ deliveredAt, digest, format, id, place, url }: NonNullable<Extract<JobOutcome, { _tag: "Uploaded" }>["copy"]>): Data => ({
  id, ...(place !== undefined && { place }), ...(url !== undefined && { url }), ...(digest !== undefined && { digest }), format, delivered_at: time(deliveredAt)
})

const time = (millis: number) => new Date(millis).toISOString()

/** CloudEvents 1.0, structured. `deployment`: the installation's name. */
export const cloudEvent = (deployment: string, tenantId: string, { at, data, id, position, subject, type }: Occurrence): string =>
  JSON.stringify({
    specversion: "1.0", id, source: `/kiln/${deployment}/tenants/${tenantId}`, type, subject, time: time(at), datacontenttype: "application/json",
    kilnposition: `${position.stream}:${position.sequence}`, data
  })
