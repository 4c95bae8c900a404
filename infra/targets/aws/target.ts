/** AMIs: the disk goes to S3, is imported as a snapshot, registered as an image, shared, and copied to other regions. */
import { Effect, type Scope } from "effect"
import type { Credentials } from "../../../domain/credentials.ts"
import { Digest, Millis } from "../../../domain/ids.ts"
import type { CloudResource, ImageCopy } from "../../../domain/image-copy.ts"
import { BuildFailed } from "../../../domain/ports/image-builder.ts"
import type { ImageTarget } from "../../../domain/ports/image-targets.ts"
import type { TargetOf } from "../../../domain/target.ts"
import { diskFormats } from "../../formats/convert.ts"
import { awsIdentity } from "../aws-identity.ts"
import { openS3, type S3 } from "../s3/client.ts"
import { markedBelow, obstacles, removeFrom } from "../s3/target.ts"
import { obstaclesAtEc2 } from "./check.ts"
import { roleObstacles } from "./check-role.ts"
import { ensureCopy } from "./copies.ts"
import { type Ec2, openEc2 } from "./ec2.ts"
import { ensureImage, type Found, refuseTakenNames, share } from "./image.ts"
import { markedAtEc2 } from "./marked.ts"
import { type AwsDelivery, copyRegionsOf, formats, pageOf } from "./plan.ts"
import { isOfEc2, removeOfEc2 } from "./remove.ts"
import type { Pace, Run } from "./run.ts"
import { prefix, stagingOf } from "./staging.ts"

type AwsTarget = TargetOf<"aws">

export interface AwsSettings {
  readonly pace?: Pace
  /** Bytes. */
  readonly partSize?: number
}

/** Imports take minutes to hours. */
const usualPace: Pace = { first: 15_000, most: 60_000 }

export const awsTargetWith = ({ pace = usualPace, partSize }: AwsSettings): ImageTarget<AwsTarget> => ({
  type: "aws",
  format: ({ artifact: { format } }) => format in formats
    ? Effect.succeed(undefined)
    : format in diskFormats ? Effect.succeed("raw") : Effect.fail(new BuildFailed({ class: "user", message: `no AMI is made of ${format}: it is not a disk` })),
  deliver: (delivery, journal, report) =>
    Effect.scoped(Effect.flatMap(open(delivery.target, delivery.credentials), ({ ec2, s3 }) =>
      deliver({ delivery, ec2, staging: stagingOf(s3, delivery, partSize), journal, report, pace }))),
  remove: (target, resources, credentials) =>
    Effect.scoped(Effect.gen(function*() {
      const { ec2, s3 } = yield* open(target, credentials)
      yield* removeOfEc2(ec2, target.region, resources)
      yield* Effect.forEach(resources.filter((resource) => !isOfEc2(resource)), (resource) => removeFrom(s3, target.bucket, resource), { discard: true })
    })),
  check: (target, credentials) =>
    Effect.scoped(Effect.gen(function*() {
      const { ec2, s3 } = yield* open(target, credentials)
      const role = yield* roleObstacles(yield* awsIdentity(credentials, target.region), target)
      return [...yield* obstacles(s3, { bucket: target.bucket, prefix }), ...role, ...yield* obstaclesAtEc2(ec2, target)]
    })),
  marked: (target, credentials, deployment) =>
    Effect.scoped(Effect.gen(function*() {
      const { ec2, s3 } = yield* open(target, credentials)
      const regions = yield* Effect.forEach([target.region, ...copyRegionsOf(target)], (region) => markedAtEc2(ec2, region, deployment))
      return [...regions.flat(), ...yield* markedBelow(s3, { bucket: target.bucket, prefix }, deployment)]
    }))
})

export const awsTarget = awsTargetWith({})

const open = (target: AwsTarget, credentials: Credentials | undefined): Effect.Effect<{ readonly ec2: Ec2; readonly s3: S3 }, BuildFailed, Scope.Scope> =>
  Effect.gen(function*() {
    const { credentials: provider, endpoints, options } = yield* awsIdentity(credentials, target.region)
    const s3 = yield* openS3(credentials, target.region)
    const ec2 = yield* openEc2({
      ...options, ...(provider && { credentials: provider }), ...(endpoints.ec2 !== undefined && { endpoint: endpoints.ec2 })
    })
    return { ec2, s3 }
  })

/** Each step looks first for what an earlier attempt may have made, and only then goes back to the step before. */
const deliver = Effect.fn("aws.deliver")(function*(run: Run): Effect.fn.Return<ImageCopy, BuildFailed> {
  const { delivery, journal, report, staging } = run
  const { region } = delivery.target
  yield* refuseTakenNames(run)
  const image = yield* ensureImage(run)
  // Whoever may not delete it has an image all the same; the rest is for others to take away.
  yield* Effect.catchIf(staging.remove, (failed) => failed.class === "user", ({ message }) => Effect.sync(() => report.line(`the disk stays in the bucket: ${message}`)))
  yield* share(run, region, image)
  report.progress({ stage: "copy", percent: 90 })
  const copies = yield* Effect.forEach(copyRegionsOf(delivery.target), (other) => Effect.gen(function*() {
    const copy = yield* ensureCopy(run, other, image.id)
    yield* share(run, other, copy)
    return { ...copy, region: other }
  }), { concurrency: "unbounded" })
  report.progress({ stage: "deliver", percent: 100 })
  return copyOf(delivery, [...copies, { ...image, region }], Number(journal.read("sent") ?? 0))
})

const copyOf = ({ artifact, credentials, sha256, target }: AwsDelivery, images: ReadonlyArray<Found & { readonly region: string }>, bytesSent: number): ImageCopy => {
  const { id, region } = images.at(-1)!
  const isAmazons = credentials?.provider === "aws" && credentials.endpoints?.ec2 === undefined
  return {
    id, place: region, digest: Digest.make(`sha256:${sha256}`), format: artifact.format === "vmdk" ? "vmdk" : "raw", bytesSent,
    ...(isAmazons && { url: pageOf(target.region, id) }),
    resources: images.flatMap(({ id, region: place, snapshotId }): ReadonlyArray<CloudResource> => [
      { kind: "image", id, place }, ...(snapshotId === undefined ? [] : [{ kind: "snapshot", id: snapshotId, place }])
    ]),
    deliveredAt: Millis.make(Date.now())
  }
}
