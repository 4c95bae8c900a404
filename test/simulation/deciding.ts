/** Commands on their way to the log, as `apps/execute.ts` and `apps/scheduler/take-reports.ts` take them there. */
import { Result } from "effect"
import type { ComposeCache, Seen } from "../../apps/scheduler/compose-cache.ts"
import { type Account, type AccountCommand, AccountDecider, type AccountEvent, type QuotaExceeded } from "../../domain/account.ts"
import type { ComposeCommand } from "../../domain/compose-commands.ts"
import type { ComposeEvent } from "../../domain/compose-events.ts"
import type { ComposeRejected } from "../../domain/compose-rejected.ts"
import { ComposeDecider } from "../../domain/compose.ts"
import { decideAll, fold } from "../../domain/decider.ts"
import type { ComposeId, Millis, TenantId } from "../../domain/ids.ts"
import { accountRef, type Actor, composeRef } from "../../domain/recorded.ts"
import type { Process, Task, Unavailable } from "./process.ts"

const tries = 10

export interface Intent {
  readonly tenantId: TenantId
  readonly messageId: string
  readonly actor: Actor
}

/** The gateway's way: read, fold, decide, append; again if another came first. */
export function* execute(process: Process, { actor, messageId, tenantId }: Intent, command: ComposeCommand):
  Task<ReadonlyArray<ComposeEvent> | ComposeRejected | Unavailable> {
  const { clock, log } = process.world
  const ref = composeRef(tenantId, command.composeId)
  for (let turn = 0; turn < tries; turn++) {
    const recorded = yield* process.call(() => log.read(ref))
    if (recorded === "unavailable") return recorded
    const decided = ComposeDecider.decide(command, fold(ComposeDecider, recorded.flatMap(({ events }) => events)))
    if (Result.isFailure(decided)) return decided.failure
    const [first, ...rest] = decided.success
    if (first === undefined) return []
    const at = clock.now as Millis
    const entry = yield* process.call(() => log.append(ref, recorded.length, { messageId, at, actor, events: [first, ...rest] }))
    if (entry === "unavailable") return entry
    if (entry !== undefined) return decided.success
  }
  return "unavailable"
}

/** Answers with the account as it was decided upon. */
export function* executeOnAccount(process: Process, { actor, messageId, tenantId }: Intent, command: (now: Millis) => AccountCommand):
  Task<{ readonly command: AccountCommand; readonly before: Account } | QuotaExceeded | Unavailable> {
  const { clock, log } = process.world
  const ref = accountRef(tenantId)
  const now = clock.now as Millis
  for (let turn = 0; turn < tries; turn++) {
    const recorded = yield* process.call(() => log.read(ref))
    if (recorded === "unavailable") return recorded
    const before = fold<Account, AccountEvent>(AccountDecider, recorded.flatMap(({ events }) => events))
    const asked = command(now)
    const decided = AccountDecider.decide(asked, before)
    if (Result.isFailure(decided)) return decided.failure
    const [first, ...rest] = decided.success
    if (first === undefined) return { command: asked, before }
    const entry = yield* process.call(() => log.append(ref, recorded.length, { messageId, at: now, actor, events: [first, ...rest] }))
    if (entry === "unavailable") return entry
    if (entry !== undefined) return { command: asked, before }
  }
  return "unavailable"
}

export function* seeCompose(process: Process, cache: ComposeCache, tenantId: TenantId, composeId: ComposeId): Task<Seen | Unavailable> {
  const known = cache.get(tenantId, composeId)
  if (known !== undefined) return known
  const recorded = yield* process.call(() => process.world.log.read(composeRef(tenantId, composeId)))
  if (recorded === "unavailable") return recorded
  const seen: Seen = {
    tenantId, compose: fold(ComposeDecider, recorded.flatMap(({ events }) => events)), revision: recorded.length, trace: undefined
  }
  cache.set(composeId, seen)
  return seen
}

/** The scheduler's way: all commands in one decision, from what the cache says. Which of them were rejected. */
export function* decideOn(process: Process, cache: ComposeCache, composeId: ComposeId, intent: Intent, commands: ReadonlyArray<ComposeCommand>):
  Task<ReadonlySet<number> | Unavailable> {
  const { clock, log } = process.world
  const { actor, messageId, tenantId } = intent
  for (let turn = 0; turn < tries; turn++) {
    const seen = yield* seeCompose(process, cache, tenantId, composeId)
    if (seen === "unavailable") return seen
    const { events: [first, ...rest], rejected } = decideAll(ComposeDecider, seen.compose, commands)
    if (first === undefined) {
      if (rejected.size === 0) return rejected
      // A rejection is final only if it was decided on what the log has.
      cache.forget(composeId)
      const now = yield* seeCompose(process, cache, tenantId, composeId)
      if (now === "unavailable" || now.revision === seen.revision) return now === "unavailable" ? now : rejected
      continue
    }
    const events: readonly [ComposeEvent, ...Array<ComposeEvent>] = [first, ...rest]
    const at = clock.now as Millis
    const entry = yield* process.call(() => log.append(composeRef(tenantId, composeId), seen.revision, { messageId, at, actor, events }))
    if (entry === "unavailable" || entry === undefined) cache.forget(composeId)
    if (entry === "unavailable") return entry
    if (entry === undefined) continue
    cache.set(composeId, { ...seen, compose: fold(ComposeDecider, events, seen.compose), revision: seen.revision + 1 })
    return rejected
  }
  return "unavailable"
}
