/** What somebody who hears of one event of a compose has to know of the others. Small, so that many are remembered. */
import type { ComposeEvent } from "./compose-events.ts"
import { isRemoval } from "./copy-removal.ts"
import { type Failure, targetsOf } from "./job.ts"
import type { TargetType } from "./target.ts"

export type ComposeStatus = "pending" | "running" | "succeeded" | "failed" | "canceled"

export interface ImageFacts {
  readonly architecture: string
  readonly type: string
  readonly targets: ReadonlyArray<TargetType>
}

export interface ComposeFacts {
  readonly status: ComposeStatus
  readonly distribution: string
  readonly name: string | undefined
  readonly labels: Readonly<Record<string, string>>
  readonly images: ReadonlyArray<ImageFacts>
  /** The first that was final. */
  readonly failure: Pick<Failure, "class" | "message"> | undefined
}

/** Nothing is known of a compose before it is requested. */
export const withEvent = (facts: ComposeFacts | undefined, event: ComposeEvent): ComposeFacts | undefined => {
  if (event._tag === "ComposeRequested") return requested(event)
  if (facts === undefined || ("jobId" in event && isRemoval(event.jobId))) return facts
  switch (event._tag) {
    case "JobStarted":
      return facts.status === "pending" ? { ...facts, status: "running" } : facts
    case "JobFailed":
      return event.final ? failed(facts, event.failure) : facts
    case "JobLost":
      return event.final ? failed(facts, { class: "platform", message: event.reason }) : facts
    case "ComposeReopened":
      return { ...facts, status: "running", failure: undefined }
    case "ComposeCanceled":
      return { ...facts, status: "canceled" }
    case "ComposeFinished":
      return { ...facts, status: event.outcome }
    default:
      return facts
  }
}

const failed = (facts: ComposeFacts, { class: of, message }: Failure): ComposeFacts =>
  facts.failure === undefined ? { ...facts, failure: { class: of, message } } : facts

const requested = ({ request }: Extract<ComposeEvent, { _tag: "ComposeRequested" }>): ComposeFacts => ({
  status: "pending",
  distribution: request.distribution,
  name: request.name,
  labels: request.labels ?? {},
  images: request.images.map((image) => ({ architecture: image.architecture, type: image.type, targets: targetsOf(image).map(({ type }) => type) })),
  failure: undefined
})
