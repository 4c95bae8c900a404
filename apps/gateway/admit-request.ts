/** Whether a request can be carried out here: what is offered, which files and credentials are there. */
import { Effect } from "effect"
import type { ComposeRequest } from "../../domain/compose-request.ts"
import type { TenantId } from "../../domain/ids.ts"
import { ImageTargets } from "../../domain/ports/image-targets.ts"
import { BadRequest, type Fault } from "./api/problems.ts"
import { Catalog } from "./catalog.ts"
import { GatewayConfig } from "./config.ts"
import { badRequest } from "./faults.ts"
import { storedFilesNamed } from "./files.ts"
import { orUnavailable } from "./find-compose.ts"
import { offered } from "./offered.ts"
import { checkTargetCredentials } from "./target-credentials.ts"

const unavailable = (error: { readonly message: string }) => orUnavailable(Effect.fail(error))

/** Answers with the distribution, or all that is wrong. */
export const admitRequest = Effect.fnUntraced(function*(tenantId: TenantId, request: ComposeRequest) {
  const { distributions } = yield* Catalog
  const { privateRepositories } = yield* GatewayConfig
  const targets = yield* ImageTargets
  const distribution = yield* Effect.fromResult(offered(distributions, request, privateRepositories, (type) => targets.get(type) !== undefined))
  yield* storedFilesNamed(tenantId, request)
  yield* checkTargetCredentials(tenantId, request.images).pipe(Effect.catchTags({ LogUnavailable: unavailable, SchedulerSilent: unavailable }))
  return distribution
})

/** The faults of a request that is only a part of what was sent, or was sent long ago. */
export const faultsMoved = (move: (fault: Fault) => Fault) =>
  <A, E, R>(effect: Effect.Effect<A, E | BadRequest, R>) =>
    Effect.catchIf(effect, (error): error is BadRequest & E => error instanceof BadRequest, ({ errors }) => Effect.fail(badRequest(errors.map(move))))
