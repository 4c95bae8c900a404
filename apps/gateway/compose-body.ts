/** A body of JSON, from bytes to what its schema says. */
import { ByteSize, Effect, Exit, Schema } from "effect"
import { HttpIncomingMessage, type HttpServerRequest } from "effect/http"
import { ComposeRequest } from "../../domain/compose-request.ts"
import { type BadRequest, BodyTooLarge, WrongMediaType } from "./api/problems.ts"
import { badRequest, fault, faultsOf } from "./faults.ts"

const maxBytes = 1024 * 1024
const maxSize = ByteSize.fromInputUnsafe(maxBytes)

const utf8 = new TextDecoder("utf-8", { fatal: true })

export const bodyOf = <A>(schema: Schema.Codec<A, unknown>) => {
  const decode = Schema.decodeUnknownExit(schema, { errors: "all", onExcessProperty: "error" })
  return Effect.fnUntraced(function*(request: HttpServerRequest.HttpServerRequest) {
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
    return decoded.value
  })
}

export const composeBody = bodyOf(ComposeRequest)
