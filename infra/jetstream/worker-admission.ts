/** Lets workers in: the auth callout on a connection of its own, trusting the same tokens as the gateway. */
import { Effect, Layer, Redacted } from "effect"
import { PoolId, poolsOf } from "../../domain/ids.ts"
import { Tokens } from "../../domain/ports/tokens.ts"
import { serveAuthCallout } from "./auth-callout.ts"
import { natsSettings, readNatsCredentials } from "./from-environment.ts"
import { connection } from "./nats.ts"

export const defaultPool = PoolId.make("default")

/** Runs in gateway and scheduler alike, so that a worker gets in while either of them is there. */
export const WorkerAdmission = (name: string) =>
  Layer.effectDiscard(Effect.gen(function*() {
    const tokens = yield* Tokens
    const { servers, credentialsFile } = yield* natsSettings
    const { auth, issuer } = yield* readNatsCredentials(credentialsFile)
    const nc = yield* connection({ servers, user: auth.user, pass: Redacted.value(auth.password), name: `${name} (admission)` })
    yield* serveAuthCallout(nc, {
      issuer,
      verify: (token) =>
        tokens.verify(token).pipe(
          Effect.filterOrFail(({ role }) => role === "worker", ({ role }) => ({ message: `a token of role ${role} does not admit a worker` })),
          Effect.map(({ pool, worker, expiresAt }) => ({ pools: pool === undefined ? [defaultPool] : poolsOf(pool), worker, expiresAt: Math.floor(expiresAt / 1000) }))
        )
    })
  }))
