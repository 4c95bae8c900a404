/** The body of `POST /composes`, from bytes to a checked request. */
import { ByteSize, Effect, Exit, Schema } from "effect"
import { HttpIncomingMessage, type HttpServerRequest } from "effect/http"
import { ComposeRequest } from "../../domain/compose-request.ts"
import { type BadRequest, BodyTooLarge, type Fault, WrongMediaType } from "./api/problems.ts"
import { badRequest, fault, faultsOf } from "./faults.ts"

const maxBytes = 1024 * 1024
const maxSize = ByteSize.fromInputUnsafe(maxBytes)

const decode = Schema.decodeUnknownExit(ComposeRequest, { errors: "all", onExcessProperty: "error" })
const utf8 = new TextDecoder("utf-8", { fatal: true })

export const composeBody = Effect.fnUntraced(function*(request: HttpServerRequest.HttpServerRequest) {
  const mediaType = request.headers["content-type"]
  if (mediaType !== undefined && !/^application\/json\s*(;|$)/i.test(mediaType)) return yield* new WrongMediaType()
  if (Number(request.headers["content-length"]) > maxBytes) return yield* new BodyTooLarge()
  const bytes = yield* request.arrayBuffer.pipe(
    Effect.provideService(HttpIncomingMessage.MaxBodySize, maxSize),
    Effect.mapError(({ reason }): BadRequest | BodyTooLarge =>
      reason._tag === "RequestParseError" && reason.reason === "BodyTooLarge"
        ? new BodyTooLarge()
        : fault("body", "", "the body ended early"))
  )
  const text = yield* Effect.try({ try: () => utf8.decode(bytes), catch: () => fault("body", "", "not UTF-8") })
  const json = yield* Effect.try({ try: (): unknown => JSON.parse(text), catch: () => fault("body", "", "not JSON") })
  const decoded = decode(json)
  if (Exit.isFailure(decoded)) {
    const issue = Exit.findErrorOption(decoded)
    return yield* badRequest(issue._tag === "Some" ? faultsOf("body", issue.value.issue) : [])
  }
  // Only an escape can bring these in: raw text was checked as it was decoded.
  if (text.includes("\\u")) {
    const unstorable = unstorableText(decoded.value, "")
    if (unstorable.length > 0) return yield* badRequest(unstorable)
  }
  return decoded.value
})

/** Strings that no text column takes: with NUL, or with half a surrogate pair. */
const unstorableText = (value: unknown, path: string): ReadonlyArray<Fault> => {
  if (typeof value === "string") {
    return value.includes("\u0000") || !value.isWellFormed()
      ? [{ in: "body", path, message: "must be text without NUL and without unpaired surrogates" }]
      : []
  }
  if (Array.isArray(value)) return value.flatMap((item, index) => unstorableText(item, `${path}[${index}]`))
  if (typeof value !== "object" || value === null) return []
  return Object.entries(value).flatMap(([key, item]) => unstorableText(item, path === "" ? key : `${path}.${key}`))
}
