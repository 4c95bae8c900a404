/** From bearer token to tenant. */
import { Effect, Layer, Redacted } from "effect"
import { Tokens } from "../../domain/ports/tokens.ts"
import { Authorization, CurrentIdentity } from "./api/authorization.ts"
import { Forbidden, Unauthorized, Unavailable } from "./api/problems.ts"

export const AuthorizationLive = Layer.effect(Authorization, Effect.gen(function*() {
  const tokens = yield* Tokens
  return Authorization.of({
    bearer: Effect.fnUntraced(function*(app, { credential }) {
      const token = Redacted.value(credential)
      if (token === "") return yield* new Unauthorized({ detail: "send a token: Authorization: Bearer <token>" })
      const identity = yield* tokens.verify(token).pipe(Effect.catchTags({
        TokenRefused: ({ message }) => new Unauthorized({ detail: message }),
        IssuerUnavailable: ({ message }) => new Unavailable({ detail: message })
      }))
      if (identity.role === "worker") return yield* new Forbidden({ detail: "a worker's token does not open this API" })
      return yield* Effect.provideService(app, CurrentIdentity, identity)
    })
  })
}))
