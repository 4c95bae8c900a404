/** From an asked-for compose to a recorded one. */
import { createHash } from "node:crypto"
import { Clock, Effect } from "effect"
import { v7 } from "uuid"
import type { ComposeCommand, RequestCompose } from "../../domain/compose-commands.ts"
import type { ComposeRequest, SealedComposeRequest } from "../../domain/compose-request.ts"
import { ComposeId, Digest, Millis, type TenantId } from "../../domain/ids.ts"
import { estimatedBytes } from "../../domain/compose-ending.ts"
import { canonical } from "../../domain/manifest.ts"
import type { DistributionInfo } from "../../domain/ports/image-builder.ts"
import { LogUnavailable } from "../../domain/ports/event-log.ts"
import { Idempotency } from "../../domain/ports/idempotency.ts"
import { Sealer } from "../../domain/ports/sealer.ts"
import type { Identity } from "../../domain/ports/tokens.ts"
import { executeFirst } from "../execute.ts"
import { readCompose } from "../read-compose.ts"
import type { ComposeAccepted } from "./api/compose-views.ts"
import { KeyReused } from "./api/problems.ts"
import { Reservations } from "./reserve-quota.ts"

export interface Asked {
  readonly identity: Identity
  readonly request: ComposeRequest
  readonly distribution: DistributionInfo
  /** Which of the images are booted once they are built. */
  readonly tests: ReadonlyArray<number>
  readonly idempotencyKey: string | undefined
  readonly trace: string | undefined
}

/** What is recorded of it, ready to be stored. */
export interface Sealed extends Pick<Asked, "identity" | "idempotencyKey" | "trace"> {
  readonly sealed: SealedComposeRequest
  readonly asked: Omit<typeof RequestCompose.Type, "_tag" | "composeId" | "request">
}

export const requestCompose = Effect.fnUntraced(function*({ request, distribution, tests, ...who }: Asked) {
  const sealed = yield* sealSecrets(who.identity.tenantId, request)
  const asked = { builder: distribution.builder, resolves: distribution.resolves, ...(tests.length > 0 && { tests }) }
  return yield* recordRequest({ ...who, sealed, asked })
})

export const recordRequest = Effect.fnUntraced(
  function*({ identity: { tenantId, role, subject }, sealed, asked, idempotencyKey, trace }: Sealed) {
    const now = yield* Clock.currentTimeMillis
    const fresh = ComposeId.make(v7({ msecs: now }))
    const claimed = idempotencyKey === undefined ? fresh : yield* claim(tenantId, idempotencyKey, fresh, sealed)
    const accepted = (composeId: ComposeId, at: number) => ({
      id: composeId,
      status: "pending",
      distribution: sealed.distribution,
      ...(sealed.name !== undefined && { name: sealed.name }),
      requested_at: new Date(at).toISOString()
    } satisfies ComposeAccepted)

    const { composeId, requestedAt } = claimed === fresh ? { composeId: fresh } : yield* found(tenantId, claimed)
    // The compose of a key that was accepted before is answered for without a look at the quota.
    if (requestedAt !== undefined) return accepted(composeId, requestedAt)
    // A key's first request may have been refused long ago.
    const at = Millis.make(now - timeOf(composeId) > ageOfKeys ? now : timeOf(composeId))
    // Not by its constructor, which would check once more what has just been checked.
    const command: ComposeCommand = { _tag: "RequestCompose", composeId, request: sealed, ...asked }
    const intent = { tenantId, messageId: `request-${composeId}`, at, actor: { kind: role, id: subject }, trace }
    const reserved = (yield* Reservations).reserve(tenantId, { composeId, bytes: estimatedBytes(sealed) })
    // A client that leaves in between would leave a reservation behind that nobody uses.
    const { events } = yield* Effect.uninterruptible(Effect.andThen(reserved, executeFirst(intent, command)))
    if (events.length > 0) return accepted(composeId, at)
    const there = yield* found(tenantId, composeId)
    if (there.requestedAt === undefined) return yield* new LogUnavailable({ message: "the request took too long, ask again" })
    return accepted(there.composeId, there.requestedAt)
  }
)

/** Requests with one key that come at the same time are of the same time. */
const ageOfKeys = 60_000

/** The id holds the time, so a repeated request gets the first one's answer. */
const timeOf = (id: ComposeId): number => Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)

/** The compose of a key, and when it was requested, if it was. One whose reservation has run out has a successor. */
const found = Effect.fnUntraced(function*(tenantId: TenantId, claimed: ComposeId) {
  for (let composeId = claimed;; composeId = successorOf(composeId)) {
    const { compose, recorded: [first] } = yield* readCompose(tenantId, composeId)
    if (compose.request !== undefined) return { composeId, requestedAt: first!.at }
    if (compose.status === "absent") return { composeId }
  }
})

/** Everybody who comes with the same key finds the same one. */
const successorOf = (id: ComposeId): ComposeId => {
  const random = createHash("sha256").update(id).digest()
  return ComposeId.make(v7({ msecs: timeOf(id), random: random.subarray(0, 16), seq: random.readUInt32BE(16) }))
}

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

export const sealSecrets = Effect.fnUntraced(function*(tenantId: TenantId, request: ComposeRequest) {
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
