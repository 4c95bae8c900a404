/** From bearer token to tenant, and how often it may come. */
import { Effect, Layer, Redacted } from "effect"
import { HttpServerResponse } from "effect/http"
import { Tokens } from "../../domain/ports/tokens.ts"
import { Authorization, CurrentIdentity } from "./api/authorization.ts"
import { Forbidden, Unauthorized, Unavailable } from "./api/problems.ts"
import { RequestLimits } from "./limit-requests.ts"

export const AuthorizationLive = Layer.effect(Authorization, Effect.gen(function*() {
  const tokens = yield* Tokens
  const limits = yield* RequestLimits
  return Authorization.of({
    bearer: Effect.fnUntraced(function*(app, { credential }) {
      const token = Redacted.value(credential)
      if (token === "") return yield* new Unauthorized({ detail: "send a token: Authorization: Bearer <token>" })
      const identity = yield* tokens.verify(token).pipe(Effect.catchTags({
        TokenRefused: ({ message }) => new Unauthorized({ detail: message }),
        IssuerUnavailable: ({ message }) => new Unavailable({ detail: message })
      }))
      if (identity.role === "worker") return yield* new Forbidden({ detail: "a worker's token does not open this API" })
      const answer = Effect.provideService(app, CurrentIdentity, identity)
      const passing = limits.pass(identity)
      if (passing === undefined) return yield* answer
      const { headers, refusal } = yield* passing
      return HttpServerResponse.setHeaders(refusal ?? (yield* answer), headers)
    })
  })
}))
