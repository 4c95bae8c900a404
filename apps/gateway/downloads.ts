/** Files to whoever holds a signed link: whole, in part, or not again if they have it. */
import { Clock, Effect } from "effect"
import { HttpServerRespondable, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { Artifacts } from "../../domain/ports/artifacts.ts"
import { Signer } from "../../domain/ports/signer.ts"
import { KilnApi } from "./api/kiln-api.ts"
import { Forbidden, NotFound, WrongRange } from "./api/problems.ts"
import { byteRange } from "./byte-range.ts"
import { linkHolds } from "./download-links.ts"
import { orUnavailable } from "./find-compose.ts"

export const DownloadsLive = HttpApiBuilder.group(KilnApi, "downloads", Effect.fnUntraced(function*(handlers) {
  const artifacts = yield* Artifacts
  const signer = yield* Signer
  return handlers.handleAll({
    file: Effect.fnUntraced(function*({ params: { digest, filename }, query, headers }) {
      const { tenant = "", expires = "", signature = "" } = query
      const holds = linkHolds(signer, { tenant, digest, filename, expires }, signature, yield* Clock.currentTimeMillis)
      if (holds === "no") return yield* new Forbidden({ detail: "the link is not one of ours, or was changed" })
      if (holds === "expired") {
        return yield* new Forbidden({ detail: "the link has expired; ask for the artifacts again" })
      }
      const size = yield* artifacts.size(digest).pipe(orUnavailable)
      if (size === undefined) return yield* new NotFound({ detail: "the file is no longer kept" })

      const etag = `"${digest}"`
      const always = {
        etag,
        "accept-ranges": "bytes",
        "cache-control": "private, no-transform",
        "x-content-type-options": "nosniff"
      }
      if (matches(headers["if-none-match"], etag)) return HttpServerResponse.empty({ status: 304, headers: always })
      const ifRange = headers["if-range"]
      const range = ifRange === undefined || ifRange === etag ? byteRange(headers.range, size) : undefined
      if (range === "unsatisfiable") return yield* wrongRange(size)

      const { start, end } = range ?? { start: 0, end: size - 1 }
      return HttpServerResponse.stream(artifacts.read(digest, start, end), {
        status: range === undefined ? 200 : 206,
        contentType: "application/octet-stream",
        contentLength: end - start + 1,
        headers: {
          ...always,
          "content-disposition": disposition(filename),
          ...(range !== undefined && { "content-range": `bytes ${start}-${end}/${size}` })
        }
      })
    })
  })
}))

const matches = (header: string | undefined, etag: string): boolean =>
  header !== undefined &&
  header.split(",").map((tag) => tag.trim().replace(/^W\//, "")).some((tag) => tag === "*" || tag === etag)

const wrongRange = (size: number) =>
  Effect.map(
    HttpServerRespondable.toResponse(new WrongRange({ detail: `the file has ${size} bytes` })),
    HttpServerResponse.setHeader("content-range", `bytes */${size}`)
  )

/** Old clients read the plain name, all others the encoded one. */
const disposition = (filename: string): string => {
  const plain = filename.replace(/[^\x20-\x7e]|["\\]/g, "_")
  const encoded = encodeURIComponent(filename)
    .replace(/['()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`
}
