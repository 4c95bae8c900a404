/** The units of a compose's work: what they are called, what they wait for, what they answer. */
import { Schema } from "effect"
import { Artifact, Blob, Evidence } from "./artifact.ts"
import { TestReport } from "./boot-test.ts"
import type { ImageRequest } from "./compose-request.ts"
import { FailureClass } from "./failure-class.ts"
import { Digest, JobId, WorkerId } from "./ids.ts"
import { ImageCopy } from "./image-copy.ts"
import { Target } from "./target.ts"
import { verificationFields } from "./verification.ts"

export const JobKind = Schema.Literals(["resolve", "build", "test", "upload", "delete"])
export type JobKind = typeof JobKind.Type

/** Something for each kind; of tests and deletions there may be none, as with those who do not know of them yet. */
export const forEachKind = <Each extends Schema.Top>(each: Each) =>
  Schema.Struct({ resolve: each, build: each, test: Schema.optionalKey(each), upload: each, delete: Schema.optionalKey(each) })

/** How many jobs of each kind at once. */
export const Slots = forEachKind(Schema.Int)
export type Slots = typeof Slots.Type

/** One node of a compose's graph; `target` only on a job that serves one target. */
export interface PlannedJob {
  readonly jobId: JobId
  readonly kind: JobKind
  readonly image: number
  readonly target?: number
  readonly after: JobId | undefined
}

export const targetsOf = (image: ImageRequest): ReadonlyArray<Target> => image.targets ?? [{ type: "file" }]

/** Which of a compose's images a job is about. */
export const imageOf = (jobId: JobId): string => jobId.slice(0, jobId.indexOf("-"))

/** The graph of one compose, dependencies before dependants. `tests`: the images that are booted once they are built. `resolvesOnly`: nothing is built. */
export const planOf = (
  images: ReadonlyArray<ImageRequest>, resolves: boolean, tests: ReadonlyArray<number> = [], resolvesOnly = false
): ReadonlyArray<PlannedJob> =>
  images.flatMap((request, image): ReadonlyArray<PlannedJob> => {
    const resolve = JobId.make(`${image}-resolve`)
    if (resolvesOnly) return [{ jobId: resolve, kind: "resolve", image, after: undefined }]
    const build = JobId.make(`${image}-build`)
    return [
      ...(resolves ? [{ jobId: resolve, kind: "resolve" as const, image, after: undefined }] : []),
      { jobId: build, kind: "build", image, after: resolves ? resolve : undefined },
      ...(tests.includes(image) ? [{ jobId: JobId.make(`${image}-test`), kind: "test" as const, image, after: build }] : []),
      // Kiln's own store takes what has failed its test too, for whoever looks into it; clouds do not.
      ...targetsOf(request).map(({ type }, target) => ({
        jobId: JobId.make(`${image}-upload-${target}`), kind: "upload" as const, image, target,
        after: tests.includes(image) && type !== "file" ? JobId.make(`${image}-test`) : build
      }))
    ]
  })

/** What a finished job answers with. Stored for good. */
export const JobOutcome = Schema.TaggedUnion({
  /** `lock` names every package with version, size, SHA-256 and URL. */
  Resolved: { lock: Blob, packages: Schema.Int, downloadBytes: Schema.Int },
  /** `reused`: the same manifest had been built before and its artifact was still there. `revision`: of the builder, where it has any. */
  Built: {
    manifest: Digest, artifact: Artifact, heldBy: WorkerId, reused: Schema.Boolean,
    revision: Schema.optionalKey(Schema.String), evidence: Schema.optionalKey(Evidence)
  },
  /** A build that was made to be compared with an earlier one. */
  Verified: { ...verificationFields, by: WorkerId },
  /** `reason`: why it was skipped. */
  Tested: { verdict: Schema.Literals(["passed", "skipped"]), reason: Schema.optionalKey(Schema.String), report: Schema.optionalKey(TestReport) },
  /** `copy`: absent of Kiln's own store. */
  Uploaded: { target: Target, artifact: Artifact, copy: Schema.optionalKey(ImageCopy) },
  /** Nothing of the copy is left. */
  Removed: { target: Target }
})
export type JobOutcome = typeof JobOutcome.Type
export const { Resolved, Built, Verified, Tested, Uploaded, Removed } = JobOutcome.cases

/** Why an attempt failed: the closed class decides on retry, the message and the excerpt are for people. */
export const Failure = Schema.Struct({
  class: FailureClass,
  message: Schema.String,
  excerpt: Schema.optionalKey(Schema.String)
})
export type Failure = typeof Failure.Type

interface RetryRule {
  /** Attempts in all, the first included. */
  readonly attempts: number
  readonly firstDelayMs: number
}

const never: RetryRule = { attempts: 1, firstDelayMs: 0 }
const retryRules: Record<FailureClass, RetryRule> = {
  user: never,
  canceled: never,
  timeout: { attempts: 2, firstDelayMs: 1000 },
  repository: { attempts: 3, firstDelayMs: 2000 },
  platform: { attempts: 3, firstDelayMs: 1000 },
  "target-quota": { attempts: 6, firstDelayMs: 30_000 },
  "target-fault": { attempts: 6, firstDelayMs: 2000 }
}

const longestDelayMs = 15 * 60_000
/** Nobody may keep a job waiting for longer than that. */
const longestAskedMs = 60 * 60_000

/**
 * How long to wait before the next attempt, or `undefined` for never again. `jitter` lies in [0, 1); `retryAfterMs`: for how
 * long whoever refused has asked to be left alone.
 */
export const retryDelayMs = (failure: FailureClass, attempt: number, jitter: number, retryAfterMs = 0): number | undefined => {
  const rule = retryRules[failure]
  if (attempt >= rule.attempts) return undefined
  const delay = Math.min(rule.firstDelayMs * 2 ** (attempt - 1), longestDelayMs)
  // Never before it was asked for, and not all at the same moment then.
  const asked = Math.min(retryAfterMs, longestAskedMs) * (1 + jitter / 10)
  return Math.round(Math.max(delay * (0.5 + jitter / 2), asked))
}

/** A worker may vanish under a job this often before the job counts as failed. */
export const lossesAllowed = 2

/** An image that is gone before it was delivered is built again this often. */
export const rebuildsAllowed = 2
