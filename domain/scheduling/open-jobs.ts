/** All jobs of all composes that still need work, folded from the log: the scheduler's memory. */
import type { ComposeEvent, JobQueued } from "../compose-events.ts"
import type { Priority } from "../compose-request.ts"
import type { AttemptToken, ComposeId, Digest, JobId, PoolScope, TenantId, WorkerId } from "../ids.ts"
import type { JobKind } from "../job.ts"
import { type Speaker, speakerKey } from "../work.ts"

/** What a job asks of whoever does it. `holder`: where the image lies that it is about. */
export interface Need {
  readonly kind: JobKind
  readonly architecture: string
  readonly distribution: string
  readonly imageType: string
  readonly holder?: { readonly worker: WorkerId; readonly digest: Digest }
}

/**
 * `delayed` until its time has come, `ready` for a slot, `assigned` once it lies on a worker's queue, `running` when the
 * worker has said so.
 */
export type OpenJobState = "delayed" | "ready" | "assigned" | "running"

/** Mutable on purpose: there may be a million, and one fiber owns them. */
export interface OpenJob {
  readonly tenantId: TenantId
  readonly composeId: ComposeId
  readonly jobId: JobId
  need: Need
  readonly priority: Priority
  attempt: number
  /** Milliseconds since 1970. */
  queuedAt: number
  /** Of the decision that queued it; names this one queueing among all of this job. */
  revision: number
  notBefore: number
  state: OpenJobState
  /** Whose queue it lies on or who runs it, and since when. */
  speaker: Speaker | undefined
  since: number
  /** Of its message on that queue; 0 while that is not known. */
  sequence: number
  token: AttemptToken | undefined
  /** The fair queue's own mark: where in it this job waits. */
  place?: object | undefined
}

/** An attempt on record as running. */
export type RunningJob = OpenJob & { speaker: Speaker; token: AttemptToken }

export const isRunning = (job: OpenJob): job is RunningJob => job.state === "running"

export class OpenJobs {
  /** Lists are replaced, never changed: whoever goes through `values` with pauses must not miss a job for another's leaving. */
  readonly #composes = new Map<ComposeId, ReadonlyArray<OpenJob>>()
  readonly #words = new Map<string, string>()
  readonly #needs = new Map<string, Need>()
  /** The same as the last one's, as a rule. */
  #lastNeed: Need | undefined
  readonly #speakers = new Map<string, Speaker>()
  #size = 0

  get size(): number {
    return this.#size
  }

  *values(): Generator<OpenJob, void> {
    for (const jobs of this.#composes.values()) yield* jobs
  }

  /** Of one tenant's compose; none if it is another's. */
  of(tenantId: string, composeId: string): ReadonlyArray<OpenJob> {
    const jobs = this.#composes.get(composeId as ComposeId) ?? none
    return jobs[0]?.tenantId === tenantId ? jobs : none
  }

  get(tenantId: string, composeId: string, jobId: string): OpenJob | undefined {
    return this.of(tenantId, composeId).find((job) => job.jobId === jobId)
  }

  queue(tenantId: TenantId, event: typeof JobQueued.Type, at: number, revision: number): OpenJob {
    const { attempt, composeId, jobId, kind, request, distribution, held, notBefore = 0, priority = "normal" } = event
    this.release(tenantId, composeId, jobId)
    return this.add({
      tenantId, composeId, jobId, priority, attempt, queuedAt: at, revision, notBefore,
      need: { kind, architecture: request.architecture, distribution, imageType: request.type, ...(held && { holder: held }) },
      state: "ready", speaker: undefined, since: at, sequence: 0, token: undefined, place: undefined
    })
  }

  /** Takes it over: whoever gave it lets go of it. */
  add(job: OpenJob): OpenJob {
    const known = this.#composes.get(job.composeId)
    const own: { -readonly [Field in keyof OpenJob]: OpenJob[Field] } = job
    own.tenantId = this.#word(job.tenantId)
    own.composeId = known?.[0]?.composeId ?? job.composeId
    own.jobId = this.#word(job.jobId)
    own.need = this.#need(job.need)
    this.#composes.set(own.composeId, known === undefined ? [own] : [...known, own])
    this.#size += 1
    return own
  }

  release(tenantId: string, composeId: ComposeId, jobId: JobId): OpenJob | undefined {
    const job = this.get(tenantId, composeId, jobId)
    if (job === undefined) return undefined
    const jobs = this.#composes.get(composeId)!
    if (jobs.length === 1) this.#composes.delete(composeId)
    else this.#composes.set(composeId, jobs.filter((other) => other !== job))
    this.#size -= 1
    return job
  }

  /** One object for all who mean the same worker. */
  speaker(scope: PoolScope, worker: WorkerId): Speaker {
    const key = speakerKey({ scope, worker })
    const known = this.#speakers.get(key) ?? { scope, worker }
    this.#speakers.set(key, known)
    return known
  }

  /** Parsed text holds each name anew; a million jobs share a few thousand. */
  #word<A extends string>(word: A): A {
    const known = this.#words.get(word)
    if (known !== undefined) return known as A
    if (this.#words.size > 100_000) this.#words.clear()
    this.#words.set(word, word)
    return word
  }

  #need(need: Need): Need {
    if (need === this.#lastNeed || need.holder !== undefined) return need
    const key = `${need.kind}/${need.architecture}/${need.distribution}/${need.imageType}`
    const known = this.#needs.get(key) ?? need
    this.#needs.set(key, known)
    this.#lastNeed = known
    return known
  }
}

const none: ReadonlyArray<OpenJob> = []

/** Which of a compose's jobs an event is about, if it is about one. */
export const aboutJob = (event: ComposeEvent): Extract<ComposeEvent, { readonly jobId: JobId }> | undefined =>
  "jobId" in event ? event : undefined
