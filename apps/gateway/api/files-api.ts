/** Files that a tenant sends before its requests name them. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { Digest } from "../../../domain/ids.ts"
import { Authorization } from "./authorization.ts"
import { BadRequest, FilesFull, FileTooLarge, NotFound, Unavailable } from "./problems.ts"

export const StoredFileView = Schema.Struct({
  digest: Digest,
  size: Schema.Int,
  stored_at: Schema.String.annotate({ description: "RFC 3339, UTC", examples: ["2026-01-31T12:00:00.000Z"] }),
  stored_by: Schema.String
}).annotate({ identifier: "StoredFile" })
export type StoredFileView = typeof StoredFileView.Type

/** `bytes`: of all of them; `limit_bytes`: how many there may be. The newest first. */
export const StoredFilesView = Schema.Struct({
  items: Schema.Array(StoredFileView),
  bytes: Schema.Int,
  limit_bytes: Schema.Int
}).annotate({ identifier: "StoredFiles" })
export type StoredFilesView = typeof StoredFilesView.Type

export class FilesApi extends HttpApiGroup.make("files").add(
  HttpApiEndpoint.post("store", "/", {
    success: StoredFileView.pipe(HttpApiSchema.status(201)),
    error: [BadRequest, FileTooLarge, FilesFull, Unavailable]
  }).annotate(OpenApi.Summary, "Store a file, the body as it is, to name it by its digest"),
  HttpApiEndpoint.get("list", "/", { success: StoredFilesView, error: [BadRequest, Unavailable] }).annotate(OpenApi.Summary, "List stored files"),
  HttpApiEndpoint.delete("remove", "/:digest", {
    params: { digest: Digest }, success: HttpApiSchema.NoContent, error: [BadRequest, NotFound, Unavailable]
  }).annotate(OpenApi.Summary, "Remove a stored file")
).middleware(Authorization).prefix("/files") {}
