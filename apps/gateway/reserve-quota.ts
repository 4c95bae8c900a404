/** Reserves quota for composes about to be requested: all of one tenant that gather while one decision is under way go into the next. */
import { Clock, Context, Deferred, Effect, Layer } from "effect"
import { v7 } from "uuid"
import { type Account, admission, type QuotaExceeded, ReserveQuota } from "../../domain/account.ts"
import { type ComposeId, Millis, type TenantId } from "../../domain/ids.ts"
import { hasQuota, type Policy, policyOf } from "../../domain/policy.ts"
import type { LogUnavailable } from "../../domain/ports/event-log.ts"
import { StandingPolicies } from "../../domain/ports/standing-policies.ts"
import { Accounts } from "../accounts.ts"

export interface Wanted {
  readonly composeId: ComposeId
  /** What it may come to store. */
  readonly bytes: number
}

export class Reservations extends Context.Service<Reservations, {
  /** Once it has answered, the compose may be appended. The same compose again is counted once. */
  reserve(tenantId: TenantId, wanted: Wanted): Effect.Effect<void, QuotaExceeded | LogUnavailable>
}>()("gateway/Reservations") {}

interface Waiting extends Wanted {
  readonly answer: Deferred.Deferred<void, QuotaExceeded | LogUnavailable>
}

const mostAtOnce = 1000
const actor = { kind: "system", id: "gateway" } as const

export const ReservationsLive = Layer.effect(Reservations, Effect.gen(function*() {
  const accounts = yield* Accounts
  const file = yield* StandingPolicies
  const scope = yield* Effect.scope
  const queues = new Map<TenantId, Array<Waiting>>()

  const decide = Effect.fnUntraced(function*(tenantId: TenantId, standing: Policy, waiting: ReadonlyArray<Waiting>) {
    const now = Millis.make(yield* Clock.currentTimeMillis)
    const composes = waiting.map(({ bytes, composeId }) => ({ composeId, bytes }))
    const command = ReserveQuota.make({ now, standing, composes })
    const { before } = yield* accounts.execute({ tenantId, messageId: v7(), at: now, actor }, command)
    return admission(command, before).refused
  })

  /** Ends when nobody waits; whoever comes next starts another. */
  const work = Effect.fnUntraced(function*(tenantId: TenantId, queue: Array<Waiting>) {
    const standing = policyOf(file, tenantId, undefined)
    while (queue.length > 0) {
      const waiting = queue.splice(0, mostAtOnce)
      yield* Effect.matchCauseEffect(decide(tenantId, standing, waiting), {
        onSuccess: (refused) => Effect.forEach(waiting, ({ answer, composeId }) => {
          const refusal = refused.get(composeId)
          return refusal === undefined ? Deferred.succeed(answer, undefined) : Deferred.fail(answer, refusal)
        }, { discard: true }),
        onFailure: (cause) => Effect.forEach(waiting, ({ answer }) => Deferred.failCause(answer, cause), { discard: true })
      })
    }
    queues.delete(tenantId)
  })

  const enqueue = (tenantId: TenantId, wanted: Wanted) =>
    Effect.suspend(() => {
      const answer = Deferred.makeUnsafe<void, QuotaExceeded | LogUnavailable>()
      const queue = queues.get(tenantId)
      if (queue !== undefined) {
        queue.push({ ...wanted, answer })
        return Deferred.await(answer)
      }
      const first = [{ ...wanted, answer }]
      queues.set(tenantId, first)
      return Effect.andThen(Effect.forkIn(work(tenantId, first), scope), Deferred.await(answer))
    })

  const needed = (tenantId: TenantId, account: Account) => hasQuota(policyOf(file, tenantId, account.override))

  return Reservations.of({
    reserve: (tenantId, wanted) => {
      const account = accounts.peek(tenantId)
      if (account !== undefined) return needed(tenantId, account) ? enqueue(tenantId, wanted) : Effect.void
      return Effect.flatMap(accounts.recent(tenantId), (read) => needed(tenantId, read) ? enqueue(tenantId, wanted) : Effect.void)
    }
  })
}))
