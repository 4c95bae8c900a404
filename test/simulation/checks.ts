/** What must hold of the log after every entry, told by rules of its own and not by the deciders'. */
import type { ComposeEvent } from "../../domain/compose-events.ts"
import type { ComposeId, TenantId } from "../../domain/ids.ts"
import type { Policy } from "../../domain/policy.ts"
import type { Recorded } from "../../domain/recorded.ts"
import { Violation } from "./violation.ts"

interface JobHistory {
  queued: number | undefined
  /** Attempt and token of who runs it. */
  current: { readonly attempt: number; readonly token: string; readonly worker: string } | undefined
  succeeded: number
}

/** Since when it counts, and whether it was given back. */
interface Reserved {
  readonly composeId: ComposeId
  readonly at: number
  released: boolean
}

interface ComposeHistory {
  readonly tenantId: TenantId
  ended: boolean
  rebuilds: number
  readonly jobs: Map<string, JobHistory>
}

export class Checks {
  readonly composes = new Map<ComposeId, ComposeHistory>()
  readonly #reserved = new Map<TenantId, Array<Reserved>>()
  readonly #standing: (tenantId: TenantId) => Policy

  constructor(standing: (tenantId: TenantId) => Policy) {
    this.#standing = standing
  }

  entry(entry: Recorded): void {
    if (entry.aggregate === "account") return this.#account(entry)
    if (entry.aggregate !== "compose") return
    for (const event of entry.events) this.#compose(entry, event)
  }

  /** In the end: a request repeated after its compose had ended may reserve once more, but must not count twice for ever. */
  countOnce(): void {
    for (const own of this.#reserved.values()) {
      const counting = own.filter(({ released }) => !released).map(({ composeId }) => composeId)
      must(new Set(counting).size === counting.length, `quota: a compose counts twice among ${counting.join(", ")}`)
    }
  }

  #account({ events, tenantId }: Recorded<"account">): void {
    const own = this.#reserved.get(tenantId) ?? []
    this.#reserved.set(tenantId, own)
    for (const event of events) {
      if (event._tag === "QuotaReleased") for (const id of event.composeIds) own.findLast(({ composeId }) => composeId === id)!.released = true
      if (event._tag !== "QuotaReserved") continue
      for (const { composeId } of event.composes) own.push({ composeId, at: event.at, released: false })
      for (const { count, windowMs } of this.#standing(tenantId).composes ?? []) this.#within(tenantId, count, windowMs)
    }
  }

  /** In whatever window, not only the last: clocks and deliveries differ. */
  #within(tenantId: TenantId, count: number, windowMs: number): void {
    const times = this.#reserved.get(tenantId)!.filter(({ released }) => !released).map(({ at }) => at).sort((one, other) => one - other)
    for (let last = count; last < times.length; last++) {
      must(times[last]! - times[last - count]! >= windowMs, `quota: ${count + 1} composes of ${tenantId} within ${windowMs} ms, ${count} may`)
    }
  }

  #compose({ actor, id, messageId, tenantId }: Recorded<"compose">, event: ComposeEvent): void {
    const composeId = id as ComposeId
    const compose = this.composes.get(composeId) ?? { tenantId, ended: false, rebuilds: 0, jobs: new Map<string, JobHistory>() }
    if (event._tag === "ComposeRequested") {
      must(!this.composes.has(composeId), `${composeId} was requested twice`)
      if (this.#standing(tenantId).composes !== undefined) {
        must(this.#reserved.get(tenantId)?.some((each) => each.composeId === composeId && !each.released) === true, `quota: ${composeId} was requested without a reservation`)
      }
    }
    this.composes.set(composeId, compose)
    must(!compose.ended || event._tag === "ComposeReopened", `${composeId}: ${event._tag} after its end`)
    if (event._tag === "ComposeReopened") compose.ended = false
    if (event._tag === "ComposeCanceled" || event._tag === "ComposeFinished") compose.ended = true
    if (event._tag === "ImageGone") compose.rebuilds += 1
    if (!("jobId" in event)) return
    const job = compose.jobs.get(event.jobId) ?? { queued: undefined, current: undefined, succeeded: 0 }
    compose.jobs.set(event.jobId, job)
    const name = `${composeId}/${event.jobId}/${event.attempt}`
    if (event._tag === "JobQueued") {
      must(job.queued === undefined && job.current === undefined, `${name} is queued while it is queued or runs`)
      job.queued = event.attempt
    } else if (event._tag === "JobStarted") {
      must(job.current === undefined, `${name} runs twice at once`)
      must(job.queued === event.attempt, `${name} is started and was not queued`)
      job.current = { attempt: event.attempt, token: event.token, worker: event.worker }
      job.queued = undefined
    } else {
      must(job.current?.attempt === event.attempt || job.queued === event.attempt, `${name}: ${event._tag}, and it is not the current attempt`)
      if (event._tag === "JobSucceeded") {
        must(job.current !== undefined, `${name} succeeds and does not run`)
        job.succeeded += 1
        must(job.succeeded <= 1 + (event.jobId.includes("build") ? compose.rebuilds : 0), `${name} has its effect ${job.succeeded} times`)
      }
      // Its own word ends an attempt, and nobody else's.
      if (actor.kind === "worker" && job.current !== undefined) {
        must(messageId.includes(job.current.token), `${name}: ${event._tag} by somebody else's word`)
        must(actor.id.endsWith(`/${job.current.worker}`), `${name}: ${event._tag} by another worker`)
      }
      job.current = undefined
      job.queued = undefined
    }
  }
}

export const must = (holds: boolean, otherwise: string): void => {
  if (!holds) throw new Violation(otherwise)
}
