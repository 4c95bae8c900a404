import { Context, type Effect, Schema } from "effect"
import { Digest, Millis, TenantId } from "../ids.ts"

export class StoredFilesUnavailable extends Schema.TaggedError<StoredFilesUnavailable>()("StoredFilesUnavailable", { message: Schema.String }) {}

export const StoredFile = Schema.Struct({ digest: Digest, size: Schema.Int, storedAt: Millis, storedBy: Schema.String })
export type StoredFile = typeof StoredFile.Type

export const StoredFileOf = Schema.Struct({ ...StoredFile.fields, tenantId: TenantId })
export type StoredFileOf = typeof StoredFileOf.Type

/** So much of a file goes in one message. */
export const partBytes = 256 * 1024
export const partsOf = (size: number): number => Math.ceil(size / partBytes)

/** Files that tenants have sent before any request names them. Each tenant sees its own: to know a digest is not enough. */
export class StoredFiles extends Context.Service<StoredFiles, {
  list(tenantId: TenantId): Effect.Effect<ReadonlyArray<StoredFile>, StoredFilesUnavailable>
  /** Of all tenants, for copies of the whole. */
  readonly all: Effect.Effect<ReadonlyArray<StoredFileOf>, StoredFilesUnavailable>
  /** Storing the same bytes again changes nothing and answers with what is there. */
  put(tenantId: TenantId, bytes: Uint8Array, by: Pick<StoredFile, "storedAt" | "storedBy">): Effect.Effect<StoredFile, StoredFilesUnavailable>
  /** `undefined` when the tenant has no such file, or the file no such part. */
  part(tenantId: TenantId, digest: Digest, index: number): Effect.Effect<Uint8Array | undefined, StoredFilesUnavailable>
  /** Whether there was one. */
  remove(tenantId: TenantId, digest: Digest): Effect.Effect<boolean, StoredFilesUnavailable>
}>()("domain/ports/StoredFiles") {}
