/** A gateway: reserves, then requests; cancels; retries. Whoever asked hears nothing when it dies in between. */
import { admission, type AccountCommand, ReserveQuota } from "../../domain/account.ts"
import { ComposeRejected } from "../../domain/compose-rejected.ts"
import type { SealedComposeRequest } from "../../domain/compose-request.ts"
import type { ComposeId, TenantId } from "../../domain/ids.ts"
import { policyOf } from "../../domain/policy.ts"
import { composeRef } from "../../domain/recorded.ts"
import { execute, executeOnAccount } from "./deciding.ts"
import { Process, type Task } from "./process.ts"

export type Answer = "accepted" | "refused" | "unavailable"

const requester = { kind: "requester", id: "somebody" } as const

export class SimGateway extends Process {
  protected begin(): void {}

  /** Answers at most once. */
  ask(task: () => Task<Answer>, answer: (answer: Answer) => void): void {
    if (!this.isAlive) return
    this.spawn((function*() {
      answer(yield* task())
    })())
  }

  *request(tenantId: TenantId, composeId: ComposeId, request: SealedComposeRequest, isAgain: boolean): Task<Answer> {
    const standing = policyOf(this.world.policyFile, tenantId, undefined)
    if (isAgain) {
      const before = yield* this.#found(tenantId, composeId)
      if (before !== "nothing") return before
    }
    if (standing.composes !== undefined) {
      const reserved = yield* this.#reserve(tenantId, composeId)
      if (reserved !== "accepted") return reserved
    }
    const intent = { tenantId, messageId: `request-${composeId}`, actor: requester }
    const tests = request.images.flatMap(({ test }, image) => test === true ? [image] : [])
    const done = yield* execute(this, intent, {
      _tag: "RequestCompose", composeId, request, builder: "simulated", resolves: this.world.resolves(composeId), ...(tests.length > 0 && { tests })
    })
    if (done === "unavailable" || done instanceof ComposeRejected) return "unavailable"
    if (done.length > 0) return "accepted"
    const found = yield* this.#found(tenantId, composeId)
    return found === "nothing" ? "unavailable" : found
  }

  /** Refused where its reservation was given back before the request came through. */
  *#found(tenantId: TenantId, composeId: ComposeId): Task<Answer | "nothing"> {
    const recorded = yield* this.call(() => this.world.log.read(composeRef(tenantId, composeId)))
    if (recorded === "unavailable") return recorded
    if (recorded.length === 0) return "nothing"
    return recorded[0]!.events[0]._tag === "ComposeRequested" ? "accepted" : "refused"
  }

  *#reserve(tenantId: TenantId, composeId: ComposeId): Task<Answer> {
    const standing = policyOf(this.world.policyFile, tenantId, undefined)
    const command = (now: number): AccountCommand => ({ _tag: "ReserveQuota", now: now as never, standing, composes: [{ composeId, bytes: 0 }] })
    const intent = { tenantId, messageId: `reserve-${this.world.nextNumber()}`, actor: requester }
    const done = yield* executeOnAccount(this, intent, command)
    if (done === "unavailable") return done
    if (!("before" in done)) return "refused"
    return admission(done.command as typeof ReserveQuota.Type, done.before).refused.has(composeId) ? "refused" : "accepted"
  }

  *cancel(tenantId: TenantId, composeId: ComposeId): Task<Answer> {
    const done = yield* execute(this, { tenantId, messageId: `cancel-${composeId}`, actor: requester }, { _tag: "CancelCompose", composeId })
    return done === "unavailable" ? done : done instanceof ComposeRejected ? "refused" : "accepted"
  }

  *retry(tenantId: TenantId, composeId: ComposeId): Task<Answer> {
    const messageId = `retry-${this.world.nextNumber()}`
    const done = yield* execute(this, { tenantId, messageId, actor: requester }, { _tag: "RetryCompose", composeId })
    return done === "unavailable" ? done : done instanceof ComposeRejected ? "refused" : "accepted"
  }
}
