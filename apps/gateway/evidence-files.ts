/** Documents about an image as bytes to answer with. */
import { createHash } from "node:crypto"
import { Effect } from "effect"
import { HttpServerResponse } from "effect/http"
import type { Blob } from "../../domain/artifact.ts"
import { namedFiles } from "../../domain/artifact-names.ts"
import { Blobs } from "../../domain/ports/blobs.ts"
import { NotFound } from "./api/problems.ts"
import type { Delivered } from "./compose-details.ts"
import { orUnavailable } from "./find-compose.ts"

export const storedDocument = Effect.fnUntraced(function*(blob: Blob | undefined, missing: string) {
  if (blob === undefined) return yield* new NotFound({ detail: missing })
  const bytes = yield* (yield* Blobs).get(blob.digest).pipe(orUnavailable)
  return bytes ?? (yield* new NotFound({ detail: "the document is no longer kept" }))
})

/** As `sha256sum --check` reads it: a name with odd signs is marked by a backslash before the line. */
export const checksums = (delivered: ReadonlyArray<Delivered>): string =>
  namedFiles(delivered.map(({ artifact, ...place }) => ({ ...artifact, ...place }))).map(({ file, name }) => {
    const escaped = name.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\r", "\\r")
    return `${escaped === name ? "" : "\\"}${file.digest.replace("sha256:", "")}  ${escaped}\n`
  }).join("")

export interface Answered {
  readonly bytes: Uint8Array
  readonly contentType: string
  /** It can never be another. */
  readonly settled: boolean
}

export const answered = ({ bytes, contentType, settled }: Answered, ifNoneMatch: string | undefined) => {
  const etag = `"sha256:${createHash("sha256").update(bytes).digest("hex")}"`
  const headers = {
    etag,
    "cache-control": settled ? "private, max-age=31536000, immutable" : "private, no-cache",
    "x-content-type-options": "nosniff"
  }
  const known = (ifNoneMatch ?? "").split(",").map((tag) => tag.trim().replace(/^W\//, ""))
  return known.includes(etag) || known.includes("*")
    ? HttpServerResponse.empty({ status: 304, headers })
    : HttpServerResponse.uint8Array(bytes, { contentType, headers })
}
