/** Bearer tokens: who calls, and for which tenant. */
import { Context } from "effect"
import { HttpApiMiddleware, HttpApiSecurity } from "effect/http-api"
import type { Identity } from "../../../domain/ports/tokens.ts"
import { Forbidden, TooManyRequests, Unauthorized, Unavailable } from "./problems.ts"

export class CurrentIdentity extends Context.Service<CurrentIdentity, Identity>()("gateway/CurrentIdentity") {}

/** Lets requesters and operators in; workers have nothing to do here. */
export class Authorization extends HttpApiMiddleware.Service<Authorization, {
  provides: CurrentIdentity
  requires: never
}>()("gateway/Authorization", {
  security: { bearer: HttpApiSecurity.bearer },
  error: [Unauthorized, Forbidden, TooManyRequests, Unavailable]
}) {}
