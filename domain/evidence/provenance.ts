/** Where an image comes from, as its compose's own events tell it: an in-toto statement with SLSA provenance. */
import { Schema } from "effect"
import type { ComposeEvent, ComposeRequested } from "../compose-events.ts"
import { JobId, type Millis } from "../ids.ts"
import type { Built, JobOutcome, Resolved } from "../job.ts"
import type { Recorded } from "../recorded.ts"
import { cyclonedxMediaType } from "./cyclonedx.ts"
import { spdxMediaType } from "./spdx.ts"

export const payloadType = "application/vnd.in-toto+json"
export const statementType = "https://in-toto.io/Statement/v1"
export const predicateType = "https://slsa.dev/provenance/v1"
const buildType = "urn:kiln:build:v1"

export interface AttemptFacts {
  readonly job: JobId
  readonly attempt: number
  readonly worker: string
  readonly started_at: string
  readonly ended_at?: string
  readonly outcome: "succeeded" | "failed" | "lost" | "returned" | "canceled" | "running"
}

interface Outcomes {
  readonly built: typeof Built.Type
  readonly resolved?: typeof Resolved.Type
}

/** What an image is called somewhere, beside its file. */
export interface Subject {
  readonly name: string
  readonly digest: { readonly sha256: string }
}

/** `undefined` until the image is built. `builderId`: the URI of whoever vouches for the build. */
export const provenanceOf = (history: ReadonlyArray<Recorded<"compose">>, image: number, builderId: string, as?: Subject) => {
  const requested = eventsOf(history).find(({ event }) => event._tag === "ComposeRequested")?.event as typeof ComposeRequested.Type | undefined
  const outcomes = outcomesOf(history, image)
  const asked = requested?.request.images[image]
  if (requested === undefined || outcomes === undefined || asked === undefined) return undefined
  const { built: { artifact, evidence, manifest, reused }, resolved } = outcomes
  const attempts = attemptsOf(history, image)
  const last = attempts.findLast(({ job, outcome }) => job === buildOf(image) && outcome === "succeeded")
  const { architecture, options, type } = asked
  const packages = requested.request.customizations?.packages
  return {
    _type: statementType,
    subject: [...(as === undefined ? [] : [as]), { name: artifact.filename, digest: sha256(artifact.digest), annotations: { size: artifact.size } }],
    predicateType,
    predicate: {
      buildDefinition: {
        buildType,
        externalParameters: {
          distribution: requested.request.distribution, architecture, type,
          ...(options && { options }), ...(packages && { packages }),
          manifest: manifest
        },
        internalParameters: { builder: requested.builder },
        resolvedDependencies: resolved === undefined ? [] : [{ name: "lock.json", digest: sha256(resolved.lock.digest), mediaType: "application/json" }]
      },
      runDetails: {
        builder: { id: builderId, ...(evidence?.tools && { version: evidence.tools }) },
        metadata: {
          invocationId: `urn:kiln:compose:${requested.composeId}:${buildOf(image)}:${last?.attempt ?? 1}`,
          ...(last && { startedOn: last.started_at }), ...(last?.ended_at !== undefined && { finishedOn: last.ended_at }),
          // Of the same manifest, by an earlier build; its image was still there.
          kiln_reused: reused,
          ...(evidence?.noBill !== undefined && { kiln_no_sbom: evidence.noBill }),
          kiln_attempts: attempts
        },
        byproducts: [
          ...(evidence?.spdx ? [{ name: "sbom.spdx.json", digest: sha256(evidence.spdx.digest), mediaType: spdxMediaType }] : []),
          ...(evidence?.cyclonedx ? [{ name: "sbom.cdx.json", digest: sha256(evidence.cyclonedx.digest), mediaType: cyclonedxMediaType }] : [])
        ]
      }
    }
  }
}

const sha256 = (digest: string) => ({ sha256: digest.replace("sha256:", "") })
const buildOf = (image: number) => JobId.make(`${image}-build`)
const resolveOf = (image: number) => JobId.make(`${image}-resolve`)
const time = (at: Millis) => new Date(at).toISOString()

const eventsOf = (history: ReadonlyArray<Recorded<"compose">>): ReadonlyArray<{ readonly at: Millis; readonly event: ComposeEvent }> =>
  history.flatMap(({ at, events }) => events.map((event) => ({ at, event })))

/** Those that count now: an image that is gone was never built. */
export const outcomesOf = (history: ReadonlyArray<Recorded<"compose">>, image: number): Outcomes | undefined => {
  const outcomes = new Map<string, JobOutcome>()
  for (const { event } of eventsOf(history)) {
    if (event._tag === "JobSucceeded") outcomes.set(event.jobId, event.outcome)
    if (event._tag === "ImageGone" && event.image === image) outcomes.delete(buildOf(image))
  }
  const [built, resolved] = [outcomes.get(buildOf(image)), outcomes.get(resolveOf(image))]
  return built?._tag === "Built" ? { built, ...(resolved?._tag === "Resolved" && { resolved }) } : undefined
}

const ends: Partial<Record<ComposeEvent["_tag"], AttemptFacts["outcome"]>> = {
  JobSucceeded: "succeeded", JobFailed: "failed", JobLost: "lost", JobReturned: "returned", JobCanceled: "canceled"
}

/** All that went into the image: every attempt to resolve and to build it. */
const attemptsOf = (history: ReadonlyArray<Recorded<"compose">>, image: number): ReadonlyArray<AttemptFacts> => {
  const attempts: Array<AttemptFacts> = []
  for (const { at, event } of eventsOf(history)) {
    if (!("jobId" in event) || (event.jobId !== buildOf(image) && event.jobId !== resolveOf(image))) continue
    const { attempt, jobId: job } = event
    if (event._tag === "JobStarted") attempts.push({ job, attempt, worker: event.worker, started_at: time(at), outcome: "running" })
    const outcome = ends[event._tag]
    const begun = attempts.findLastIndex((each) => each.job === job && each.attempt === attempt)
    if (outcome !== undefined && begun >= 0) attempts[begun] = { ...attempts[begun]!, ended_at: time(at), outcome }
  }
  return attempts
}

const Digests = Schema.Struct({ sha256: Schema.String })
const Resource = Schema.Struct({ name: Schema.optionalKey(Schema.String), digest: Schema.optionalKey(Digests) })

/** As much of such a statement as a verifier needs; others may say more. */
export const Statement = Schema.Struct({
  _type: Schema.String,
  subject: Schema.Array(Schema.Struct({ name: Schema.optionalKey(Schema.String), digest: Schema.Record(Schema.String, Schema.String) })),
  predicateType: Schema.String,
  predicate: Schema.optionalKey(Schema.Struct({
    runDetails: Schema.optionalKey(Schema.Struct({
      builder: Schema.optionalKey(Schema.Struct({ id: Schema.String })),
      metadata: Schema.optionalKey(Schema.Struct({
        invocationId: Schema.optionalKey(Schema.String), finishedOn: Schema.optionalKey(Schema.String), kiln_no_sbom: Schema.optionalKey(Schema.String)
      })),
      byproducts: Schema.optionalKey(Schema.Array(Resource))
    }))
  }))
})
export type Statement = typeof Statement.Type
