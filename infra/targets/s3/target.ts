/** Objects in buckets, of Amazon's S3 or of whatever speaks like it. */
import { randomUUID } from "node:crypto"
import { basename } from "node:path"
import { Effect, Schema } from "effect"
import { ComposeId, JobId, Millis, TenantId, Digest } from "../../../domain/ids.ts"
import type { CloudResource, ImageCopy } from "../../../domain/image-copy.ts"
import { BuildFailed } from "../../../domain/ports/image-builder.ts"
import type { Delivery, ImageTarget, Marked, Marks, Obstacle } from "../../../domain/ports/image-targets.ts"
import type { TargetOf } from "../../../domain/target.ts"
import { openS3, orAbsent, type S3 } from "./client.ts"
import { abortUpload, unfinished } from "./unfinished-uploads.ts"
import { uploadObject } from "./upload.ts"

type S3Target = TargetOf<"s3">

const [isTenant, isCompose, isJob] = [Schema.is(TenantId), Schema.is(ComposeId), Schema.is(JobId)]

/** Longer ones are refused. */
const longestLink = 7 * 86_400

export interface S3Settings {
  /** Bytes. */
  readonly partSize?: number
}

export const s3TargetWith = ({ partSize }: S3Settings): ImageTarget<S3Target> => ({
  type: "s3",
  format: () => Effect.succeed(undefined),
  deliver: (delivery, journal, report) =>
    Effect.scoped(Effect.gen(function*() {
      const { artifact, credentials, path, sha256, size, target } = delivery
      const s3 = yield* openS3(credentials, target.region)
      const key = keyOf(target, delivery)
      const { bytesSent } = yield* uploadObject(s3, {
        bucket: target.bucket, key, path, size, sha256, contentType: artifact.mediaType, ...(partSize !== undefined && { partSize })
      }, journal, report)
      return {
        id: key, place: target.bucket, url: `s3://${target.bucket}/${key}`, digest: Digest.make(`sha256:${sha256}`), format: artifact.format,
        resources: [{ kind: "object", id: key, place: target.bucket }], bytesSent, deliveredAt: Millis.make(Date.now())
      } satisfies ImageCopy
    })),
  remove: (target, resources, credentials) =>
    Effect.scoped(Effect.gen(function*() {
      const s3 = yield* openS3(credentials, target.region)
      yield* Effect.forEach(resources, (resource) => removeFrom(s3, target.bucket, resource), { discard: true })
    })),
  check: (target, credentials) => Effect.scoped(Effect.flatMap(openS3(credentials, target.region), (s3) => obstacles(s3, target))),
  marked: (target, credentials, deployment) =>
    Effect.scoped(Effect.flatMap(openS3(credentials, target.region), (s3) => markedBelow(s3, target, deployment))),
  link: (target, copy, credentials, seconds) =>
    Effect.scoped(Effect.gen(function*() {
      const { call, client, sdk } = yield* openS3(credentials, target.region)
      const { getSignedUrl } = yield* Effect.promise(() => import("@aws-sdk/s3-request-presigner"))
      const command = new sdk.GetObjectCommand({
        Bucket: copy.place ?? target.bucket, Key: copy.id,
        ResponseContentDisposition: `attachment; filename="${basename(copy.id).replace(/[^\x20-\x7e]|["\\]/gu, "_")}"`
      })
      return yield* call("s3:GetObject", () =>
        getSignedUrl(client, command, { expiresIn: Math.min(longestLink, Math.max(1, Math.floor(seconds))) }))
    }))
})

export const s3Target = s3TargetWith({})

/** All that says whose an object is, is in its name: so it is found by one list, and an unfinished upload too. */
export const keyOf = (
  { prefix = "" }: Pick<S3Target, "prefix">, { artifact, composeId, deployment, jobId, tenantId }: Pick<Delivery, "artifact" | keyof Marks>
): string =>
  `${belowOf(prefix, deployment)}${tenantId}/${composeId}/${jobId}/${artifact.filename.replace(/[^A-Za-z0-9._-]/gu, "_")}`

const belowOf = (prefix: string, deployment: string): string => `${prefix}${deployment}/`

/** The marks in what follows the deployment's name; nothing if it is not one of ours. */
export const marksIn = (key: string, prefix: string, deployment: string): Marks | undefined => {
  const [tenantId, composeId, jobId, file, ...more] = key.slice(belowOf(prefix, deployment).length).split("/")
  if (file === undefined || more.length > 0) return undefined
  return isTenant(tenantId) && isCompose(composeId) && isJob(jobId) ? { deployment, tenantId, composeId, jobId } : undefined
}

const partial = "multipart-upload"
/** Keys hold no spaces. */
const idOfPartial = (key: string, uploadId: string) => `${key} ${uploadId}`

export const removeFrom = (s3: S3, bucket: string, { id, kind, place = bucket }: CloudResource): Effect.Effect<void, BuildFailed> => {
  if (kind === partial) {
    const [key = "", uploadId = ""] = id.split(" ")
    return Effect.asVoid(abortUpload(s3, place, { key, uploadId }))
  }
  if (kind !== "object") return Effect.fail(new BuildFailed({ class: "platform", message: `an s3 target has no ${kind}` }))
  return Effect.asVoid(s3.call("s3:DeleteObject", (abort) =>
    orAbsent(() => s3.client.send(new s3.sdk.DeleteObjectCommand({ Bucket: place, Key: id }), abort))))
}

export const markedBelow = Effect.fnUntraced(function*(s3: S3, { bucket, prefix = "" }: Pick<S3Target, "bucket" | "prefix">, deployment: string) {
  const below = belowOf(prefix, deployment)
  const found: Array<Marked> = []
  const add = (kind: string, id: string, key: string, madeAt: number | undefined) => {
    const marks = marksIn(key, prefix, deployment)
    if (marks !== undefined) found.push({ resource: { kind, id, place: bucket }, marks, madeAt })
  }
  let token: string | undefined
  do {
    const from = token
    const page = yield* s3.call("s3:ListBucket", (abort) => s3.client.send(new s3.sdk.ListObjectsV2Command({
      Bucket: bucket, Prefix: below, ...(from !== undefined && { ContinuationToken: from })
    }), abort))
    for (const { Key, LastModified } of page.Contents ?? []) add("object", Key!, Key!, LastModified?.getTime())
    token = page.IsTruncated === true ? page.NextContinuationToken : undefined
  } while (token !== undefined)
  for (const { at, key, uploadId } of yield* unfinished(s3, bucket, below)) add(partial, idOfPartial(key, uploadId), key, at === 0 ? undefined : at)
  return found as ReadonlyArray<Marked>
})

/** An upload that is begun and given up writes nothing. */
export const obstacles = Effect.fnUntraced(function*({ call, client, sdk }: S3, { bucket: Bucket, prefix = "" }: Pick<S3Target, "bucket" | "prefix">) {
  const found: Array<Obstacle> = []
  const tried = <A>(what: string, run: Parameters<typeof call<A>>[1]) =>
    call(what, run).pipe(Effect.catch((failed) => {
      // Who does not answer says nothing of what is allowed.
      if (failed.class === "target-fault" || failed.class === "target-quota") return Effect.fail(failed)
      found.push({ what, problem: failed.message.slice(what.length + 2) })
      return Effect.succeed(undefined)
    }))
  const Key = `${prefix}kiln-check-${randomUUID()}`
  yield* tried("s3:ListBucket", (abort) => client.send(new sdk.HeadBucketCommand({ Bucket }), abort))
  const begun = yield* tried("s3:PutObject", (abort) => client.send(new sdk.CreateMultipartUploadCommand({ Bucket, Key }), abort))
  if (begun !== undefined) yield* tried("s3:AbortMultipartUpload", (abort) => client.send(new sdk.AbortMultipartUploadCommand({ Bucket, Key, UploadId: begun.UploadId! }), abort))
  return found as ReadonlyArray<Obstacle>
})
