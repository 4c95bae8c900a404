/** A client of S3, or of what speaks like it, for as long as the scope lasts. */
import type { S3Client } from "@aws-sdk/client-s3"
import { Effect, type Scope } from "effect"
import type { Credentials } from "../../../domain/credentials.ts"
import type { BuildFailed } from "../../../domain/ports/image-builder.ts"
import { awsIdentity } from "../aws-identity.ts"
import { targetFailed } from "../failures.ts"

export type S3Module = typeof import("@aws-sdk/client-s3")

export interface S3 {
  readonly client: S3Client
  readonly sdk: S3Module
  /** One request; interruption ends it. `what` is how it is called in permissions, such as `s3:PutObject`. */
  call<A>(what: string, run: (abort: { readonly abortSignal: AbortSignal }) => Promise<A>): Effect.Effect<A, BuildFailed>
}

export const openS3 = (credentials: Credentials | undefined, region?: string): Effect.Effect<S3, BuildFailed, Scope.Scope> =>
  Effect.gen(function*() {
    const { credentials: provider, endpoints, options, region: where } = yield* awsIdentity(credentials, region)
    const sdk = yield* Effect.promise(() => import("@aws-sdk/client-s3"))
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => new sdk.S3Client({
        ...options, region: where,
        ...(provider && { credentials: provider }),
        ...(endpoints.s3 !== undefined && { endpoint: endpoints.s3, forcePathStyle: true }),
        // Many stores that are not Amazon's know no other checksums than those that are asked for.
        requestChecksumCalculation: "WHEN_REQUIRED", responseChecksumValidation: "WHEN_REQUIRED"
      })),
      (opened) => Effect.sync(() => opened.destroy())
    )
    return { client, sdk, call: (what, run) => Effect.tryPromise({ try: (abortSignal) => run({ abortSignal }), catch: (error) => targetFailed(what, error) }) }
  })

/** What a call answers, or `undefined` where the provider says that there is no such thing. */
export const orAbsent = <A>(run: () => Promise<A>): Promise<A | undefined> =>
  run().catch((error: unknown) => {
    if (isAbsent(error)) return undefined
    throw error
  })

export const isAbsent = (error: unknown): boolean => {
  const { $metadata, name } = error as { readonly name?: string; readonly $metadata?: { readonly httpStatusCode?: number } }
  return name === "NotFound" || name === "NoSuchKey" || name === "NoSuchUpload" || ($metadata?.httpStatusCode === 404 && name !== "NoSuchBucket")
}
