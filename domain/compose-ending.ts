/** What one run of a compose, from its request or its last reopening to its end, means for the account it was reserved on. */
import type { SealedComposeRequest } from "./compose-request.ts"
import type { ComposeEvent } from "./compose-events.ts"
import { isRemoval } from "./copy-removal.ts"
import { targetsOf } from "./job.ts"

/** What an image kept in Kiln's own store is taken to need until its size is known. */
export const estimatedImageBytes = 4 * 2 ** 30

/** Only what lies in Kiln's own store counts; clouds have limits of their own. */
export const estimatedBytes = ({ images }: Pick<SealedComposeRequest, "images">): number =>
  images.flatMap(targetsOf).filter(({ type }) => type === "file").length * estimatedImageBytes

export interface ComposeEnding {
  readonly bytes: number
  /** The first job that failed for good failed by the platform's fault, not the requester's; one that found an image wanting has done its work. */
  readonly byPlatform: boolean
  /** Its reservation has run out before anybody asked for it; see `neverRequested`. */
  readonly abandoned: boolean
}

export const endingOf = (events: ReadonlyArray<ComposeEvent>): ComposeEnding => {
  const run = events.slice(events.findLastIndex(({ _tag }) => _tag === "ComposeReopened") + 1)
    .filter((event) => !("jobId" in event && isRemoval(event.jobId)))
  const failures = run.flatMap((event) => {
    if (event._tag === "JobFailed" && event.final) return [event.report === undefined ? event.failure.class : "user"]
    return event._tag === "JobLost" && event.final ? ["platform"] : []
  })
  const sizes = run.flatMap((event) =>
    event._tag === "JobSucceeded" && event.outcome._tag === "Uploaded" && event.outcome.target.type === "file" ? [event.outcome.artifact.size] : [])
  return {
    bytes: sizes.reduce((total, size) => total + size, 0),
    byPlatform: run.findLast(isEnd)?._tag === "ComposeFinished" && failures[0] === "platform",
    abandoned: !events.some(({ _tag }) => _tag === "ComposeRequested")
  }
}

/** Said of a compose that can never be requested any more: this takes its first revision. */
export const neverRequested = "its quota was given back: the request did not arrive in time"

export const isEnd = (event: ComposeEvent): event is Extract<ComposeEvent, { _tag: "ComposeFinished" | "ComposeCanceled" }> =>
  event._tag === "ComposeFinished" || event._tag === "ComposeCanceled"
