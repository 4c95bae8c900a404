/** Settles quotas as `apps/scheduler/settle-quota.ts` does: ends are taken in from the log, and what never came is given up. */
import type { Ending } from "../../domain/account.ts"
import { endingOf, neverRequested } from "../../domain/compose-ending.ts"
import { ComposeDecider } from "../../domain/compose.ts"
import { fold } from "../../domain/decider.ts"
import type { ComposeId, TenantId } from "../../domain/ids.ts"
import { type EndedCompose, OpenReservations } from "../../domain/open-reservations.ts"
import { accountRef, composeRef } from "../../domain/recorded.ts"
import { executeOnAccount } from "./deciding.ts"
import { Process, type Task, until } from "./process.ts"

export const overdueMs = 20_000
const actor = { kind: "system", id: "settler" } as const

export class SimSettler extends Process {
  #saved: { readonly position: number; readonly open: OpenReservations } = { position: 0, open: new OpenReservations() }
  open = new OpenReservations()
  #position = 0

  protected begin(): void {
    this.#position = this.#saved.position
    this.open = new OpenReservations(this.#saved.open.entries())
    this.spawn(this.#follow())
    const suspects = new Map<ComposeId, number>()
    this.every(5000, () => this.#sweep(suspects))
    this.every(30_000, () => this.#save())
  }

  *#save(): Task {
    this.#saved = { position: this.#position, open: new OpenReservations(this.open.entries()) }
  }

  *#follow(): Task {
    for (;;) {
      const { log, network, random } = this.world
      const from = this.#position
      yield* until<void>((resume) => log.whenBeyond(from, () => resume()))
      yield* this.sleep(network.delay())
      const entries = log.entries.slice(from, from + random.between(1, 50))
      const ends = entries.map((entry) => this.open.record(entry, () => false)).filter((end) => end !== undefined)
      for (const [tenantId, own] of Map.groupBy(ends, ({ tenantId }) => tenantId)) {
        const endings: Array<Ending> = []
        for (const end of own) endings.push(yield* this.#endingAt(end))
        yield* this.#settled(tenantId, endings)
      }
      this.#position = from + entries.length
    }
  }

  *#endingAt({ composeId, position: { sequence }, revision, tenantId }: EndedCompose): Task<Ending> {
    const recorded = yield* this.#surely(() => this.world.log.read(composeRef(tenantId, composeId)))
    const { abandoned, byPlatform, bytes } = endingOf(recorded.filter((each) => each.revision <= revision).flatMap(({ events }) => events))
    const release = abandoned ? "never-requested" as const : byPlatform ? "platform-failure" as const : undefined
    return { composeId, bytes, sequence, ...(release !== undefined && { release }) }
  }

  *#settled(tenantId: TenantId, endings: ReadonlyArray<Ending>): Task {
    const intent = { tenantId, messageId: `settle-${this.world.nextNumber()}`, actor }
    while ((yield* executeOnAccount(this, intent, () => ({ _tag: "SettleQuota", endings }))) === "unavailable") yield* this.sleep(1000)
  }

  *#surely<A>(serve: () => A): Task<A> {
    for (;;) {
      const answer = yield* this.call(serve)
      if (answer !== "unavailable") return answer
      yield* this.sleep(1000)
    }
  }

  /** Twice looked at: what was in the log at the first look has been taken in at the second. */
  *#sweep(suspects: Map<ComposeId, number>): Task {
    const { clock, log } = this.world
    for (const [tenantId, composeId] of Array.from(this.open.overdue(clock.now - overdueMs))) {
      const before = suspects.get(composeId)
      if (before === undefined) suspects.set(composeId, log.entries.length)
      else if (this.#position >= before) {
        suspects.delete(composeId)
        yield* this.#giveUp(tenantId, composeId)
      }
    }
  }

  *#giveUp(tenantId: TenantId, composeId: ComposeId): Task {
    const { clock, log } = this.world
    const ref = composeRef(tenantId, composeId)
    const events = [{ _tag: "ComposeCanceled", composeId, reason: neverRequested }] as const
    const entry = yield* this.#surely(() => log.append(ref, 0, { messageId: `never-${composeId}`, at: clock.now as never, actor, events }))
    if (entry !== undefined) return
    const recorded = yield* this.#surely(() => log.read(ref))
    if (fold(ComposeDecider, recorded.flatMap(({ events }) => events)).status === "open") return
    const reserved = yield* this.#surely(() => log.read(accountRef(tenantId)))
    if (reserved.length > 0) yield* this.#settled(tenantId, [{ composeId, bytes: 0, sequence: 0, release: "never-requested" }])
  }
}
