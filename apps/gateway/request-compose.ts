/** From an asked-for compose to a recorded one. */
import { createHash } from "node:crypto"
import { Clock, Effect } from "effect"
import { v7 } from "uuid"
import type { ComposeCommand } from "../../domain/compose.ts"
import type { ComposeRequest, SealedComposeRequest } from "../../domain/compose-request.ts"
import { ComposeId, Digest, Millis, type TenantId } from "../../domain/ids.ts"
import { canonical } from "../../domain/manifest.ts"
import type { DistributionInfo } from "../../domain/ports/image-builder.ts"
import { Idempotency } from "../../domain/ports/idempotency.ts"
import { Sealer } from "../../domain/ports/sealer.ts"
import type { Identity } from "../../domain/ports/tokens.ts"
import { executeFirst } from "../execute.ts"
import type { ComposeAccepted } from "./api/compose-views.ts"
import { KeyReused } from "./api/problems.ts"

export interface Asked {
  readonly identity: Identity
  readonly request: ComposeRequest
  readonly distribution: DistributionInfo
  readonly idempotencyKey: string | undefined
  readonly trace: string | undefined
}

export const requestCompose = Effect.fnUntraced(
  function*({ identity: { tenantId, role, subject }, request, distribution, idempotencyKey, trace }: Asked) {
    const now = yield* Clock.currentTimeMillis
    const sealed = yield* sealSecrets(tenantId, request)
    const fresh = ComposeId.make(v7({ msecs: now }))
    const composeId = idempotencyKey === undefined ? fresh : yield* claim(tenantId, idempotencyKey, fresh, sealed)
    const at = requestedAt(composeId)
    // Not by its constructor, which would check once more what has just been checked.
    const command: ComposeCommand = {
      _tag: "RequestCompose", composeId, request: sealed, builder: distribution.builder, resolves: distribution.resolves
    }
    const actor = { kind: role, id: subject }
    yield* executeFirst({ tenantId, messageId: `request-${composeId}`, at, actor, trace }, command)
    return {
      id: composeId,
      status: "pending",
      distribution: request.distribution,
      ...(request.name !== undefined && { name: request.name }),
      requested_at: new Date(at).toISOString()
    } satisfies ComposeAccepted
  }
)

/** The id holds the time, so a repeated request gets the first one's answer without a look at the log. */
const requestedAt = (id: ComposeId): Millis => Millis.make(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16))

/** The digest is of the sealed request: one of the clear text would let passwords be guessed from what is stored. */
const claim = Effect.fnUntraced(
  function*(tenantId: TenantId, key: string, composeId: ComposeId, request: SealedComposeRequest) {
    const idempotency = yield* Idempotency
    const digest = Digest.make(`sha256:${createHash("sha256").update(canonical(request)).digest("hex")}`)
    const claimed = yield* idempotency.claim(tenantId, key, { composeId, request: digest })
    if (claimed.request !== digest) return yield* new KeyReused()
    return claimed.composeId
  }
)

const sealSecrets = Effect.fnUntraced(function*(tenantId: TenantId, request: ComposeRequest) {
  const { customizations, ...plain } = request
  if (customizations === undefined) return plain satisfies SealedComposeRequest
  const { users, ...others } = customizations
  if (users === undefined) return { ...plain, customizations: others } satisfies SealedComposeRequest
  const sealer = yield* Sealer
  const sealed = yield* Effect.forEach(users, ({ password, ...user }) =>
    password === undefined
      ? Effect.succeed(user)
      : Effect.map(sealer.seal(tenantId, password), (secret) => ({ ...user, password: secret })))
  return { ...plain, customizations: { ...others, users: sealed } } satisfies SealedComposeRequest
})
