/** Composes as they were when last seen, so that a report need not read what the log has just told. */
import { Effect } from "effect"
import type { Compose } from "../../domain/compose-state.ts"
import { ComposeDecider } from "../../domain/compose.ts"
import { fold } from "../../domain/decider.ts"
import type { ComposeId, TenantId } from "../../domain/ids.ts"
import type { Recorded } from "../../domain/recorded.ts"
import { readCompose } from "../read-compose.ts"

export interface Seen {
  readonly tenantId: TenantId
  readonly compose: Compose
  readonly revision: number
  readonly trace: string | undefined
}

const largest = 5000

/** May be behind: whoever appends after its revision learns that from the log. Least recently used go first. */
export class ComposeCache {
  readonly #seen = new Map<ComposeId, Seen>()

  /** An entry of the log, in order. Where it does not follow on what is known, that would stay behind for ever. */
  record({ tenantId, id, revision, events, trace }: Recorded<"compose">): void {
    const composeId = id as ComposeId
    const known = this.#seen.get(composeId)
    const from = known ?? { tenantId, compose: ComposeDecider.initial, revision: 0, trace }
    if (from.revision === revision - 1) this.set(composeId, { ...from, compose: fold(ComposeDecider, events, from.compose), revision })
    else if (from.revision < revision) this.forget(composeId)
  }

  get(tenantId: TenantId, composeId: ComposeId): Seen | undefined {
    const seen = this.#seen.get(composeId)
    return seen?.tenantId === tenantId ? seen : undefined
  }

  set(composeId: ComposeId, seen: Seen): void {
    // Whoever has appended may hear of it after the log has told of what came next.
    if ((this.#seen.get(composeId)?.revision ?? 0) > seen.revision) return
    this.#seen.delete(composeId)
    if (seen.compose.status !== "open") return
    this.#seen.set(composeId, seen)
    if (this.#seen.size > largest) this.#seen.delete(this.#seen.keys().next().value!)
  }

  forget(composeId: ComposeId): void {
    this.#seen.delete(composeId)
  }
}

/** From the cache, or from the log. */
export const seeCompose = Effect.fnUntraced(function*(cache: ComposeCache, tenantId: TenantId, composeId: ComposeId) {
  const known = cache.get(tenantId, composeId)
  if (known !== undefined) return known
  const { compose, recorded, revision } = yield* readCompose(tenantId, composeId)
  const seen: Seen = { tenantId, compose, revision, trace: recorded[0]?.trace }
  cache.set(composeId, seen)
  return seen
})
