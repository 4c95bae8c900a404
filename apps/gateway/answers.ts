/** What is true of every answer: errors are problem documents, each is counted, and only the remarkable is logged. */
import { Cause, Context, Effect, type Types } from "effect"
import { HttpRouter, HttpServerError, HttpServerRequest, HttpServerRespondable, HttpServerResponse } from "effect/http"
import { HttpApiError } from "effect/http-api"
import {
  BadRequest, BodyTooLarge, type Fault, MethodNotAllowed, NotFound, Unavailable, WrongMediaType
} from "./api/problems.ts"
import { GatewayConfig } from "./config.ts"
import { badRequest, faultsOf } from "./faults.ts"
import { methodsAt } from "./methods.ts"
import { observe } from "./observe.ts"

type Request = HttpServerRequest.HttpServerRequest
type Response = HttpServerResponse.HttpServerResponse
type Problem = HttpServerRespondable.Respondable

const problem = "application/problem+json"

export const AnswersLive = HttpRouter.middleware(Effect.gen(function*() {
  const { slow } = yield* GatewayConfig
  return (app: Effect.Effect<Response, unknown>) =>
    Effect.withFiber<Response, Types.unhandled>((fiber) => {
      const request = Context.getUnsafe(fiber.context as Context.Context<Request>, HttpServerRequest.HttpServerRequest)
      const begun = performance.now()
      const answered = ([response, cause]: Answer): Effect.Effect<Response> => {
        // The router leaves the matched route in the fiber; there is no other way to learn it out here.
        const route = Context.getOrUndefined(fiber.context, HttpRouter.RouteContext)?.route.path ?? "none"
        const { status } = response
        const millis = performance.now() - begun
        observe(fiber.context, { route, method: request.method, status, millis })
        if (millis < slow && (status < 500 || route === "/readyz")) return Effect.succeed(response)
        const log = status < 500
          ? Effect.logWarning("slow request")
          : Effect.logError("failed request", ...(cause ? [cause] : []))
        const facts = { method: request.method, route, status, ms: Math.round(millis) }
        return Effect.as(Effect.annotateLogs(log, facts), response)
      }
      return Effect.matchCauseEffect(app, {
        onSuccess: (response) =>
          response.status < 400 ? answered([response]) : Effect.flatMap(dressed(response), (each) => answered([each])),
        onFailure: (cause) => Effect.flatMap(refused(request, cause), answered)
      })
    })
}), { global: true })

/** A cause comes only with what is nobody's fault but ours. */
type Answer = readonly [response: Response, cause?: Cause.Cause<unknown>]

const refused = (request: Request, cause: Cause.Cause<unknown>): Effect.Effect<Answer, Types.unhandled> => {
  // The client has gone or the server goes; the server itself knows what to do.
  if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause) as Effect.Effect<never, Types.unhandled>
  for (const reason of cause.reasons) {
    const said = reason._tag === "Fail" ? reason.error : reason._tag === "Die" ? reason.defect : undefined
    const answer = answerOf(request, said)
    if (answer !== undefined) return Effect.map(answer, (response) => [response])
  }
  return Effect.map(plain(500, "Something went wrong here"), (response) => [response, cause])
}

const answerOf = (request: Request, said: unknown): Effect.Effect<Response> | undefined => {
  if (HttpServerResponse.isHttpServerResponse(said)) return dressed(said)
  if (HttpServerError.isHttpServerError(said) && said.reason._tag === "RouteNotFound") {
    return noRoute(methodsAt(request.url))
  }
  const refusal = problemOf(said)
  return refusal && Effect.flatMap(HttpServerRespondable.toResponse(refusal), dressed)
}

const noRoute = (methods: ReadonlyArray<string>): Effect.Effect<Response> =>
  methods.length === 0
    ? HttpServerRespondable.toResponse(new NotFound({ detail: "there is no such resource" }))
    : Effect.map(
      HttpServerRespondable.toResponse(new MethodNotAllowed({ detail: `there is ${methods.join(", ")}` })),
      HttpServerResponse.setHeader("allow", methods.join(", "))
    )

const problemOf = (said: unknown): Problem | undefined => {
  if (HttpApiError.HttpApiSchemaError.is(said)) {
    const where = slots[said.kind]
    return where === undefined ? undefined : badRequest(faultsOf(where, said.cause.issue))
  }
  if (!HttpServerError.isHttpServerError(said)) {
    const refuses = HttpServerRespondable.isRespondable(said) && "status" in said && Number(said.status) >= 400
    return refuses ? said : undefined
  }
  if (said.reason._tag !== "RequestParseError") return undefined
  return said.reason.reason === "BodyTooLarge" ? new BodyTooLarge() : new BadRequest({ errors: [] })
}

/** Parts of an answer are our own fault, so they have no slot here. */
const slots: Partial<Record<HttpApiError.HttpApiSchemaError["kind"], Fault["in"]>> = {
  Params: "path", Query: "query", Headers: "header", Payload: "body"
}

const headers: Readonly<Record<number, readonly [name: string, value: string]>> = {
  401: ["www-authenticate", "Bearer realm=\"kiln\""],
  // What is left of the body was not read, so the connection is of no further use.
  413: ["connection", "close"],
  503: ["retry-after", "2"]
}

/** The headers that belong to a status, and a problem document where there is none yet. */
const dressed = (response: Response): Effect.Effect<Response> => {
  const { status } = response
  if (!response.headers["content-type"]?.startsWith(problem)) {
    if (status === 415) return Effect.flatMap(HttpServerRespondable.toResponse(new WrongMediaType()), dressed)
    if (status === 503) return Effect.flatMap(HttpServerRespondable.toResponse(new Unavailable()), dressed)
    return plain(status, "The request was refused")
  }
  const header = headers[status]
  return Effect.succeed(header === undefined ? response : HttpServerResponse.setHeader(response, ...header))
}

const plain = (status: number, title: string): Effect.Effect<Response> =>
  Effect.succeed(
    HttpServerResponse.jsonUnsafe({ type: "about:blank", status, title }, { status, contentType: problem })
  )
