/** All jobs of all composes that still need work, folded from the log: the scheduler's memory. */
import type { ComposeEvent, JobQueued } from "../compose-events.ts"
import type { Priority } from "../compose-request.ts"
import type { AttemptToken, ComposeId, Digest, JobId, PoolScope, TenantId, WorkerId } from "../ids.ts"
import { type JobKind, targetsOf } from "../job.ts"
import { credentialsOfTarget } from "../target-credentials.ts"
import { limitKeyOf } from "../target-limits.ts"
import { type Speaker, speakerKey } from "../work.ts"
import { type JobPage, Resting } from "./resting.ts"

/**
 * What a job asks of whoever does it. `holder`: where the image lies that it is about. `avoid`: who does it only if nobody
 * else can. `target`: what a delivery is counted by, as in target-limits.ts. `sets`: the credentials that its targets name;
 * of a build, those of all of its image's targets, since whoever holds an image delivers it.
 */
export interface Need {
  readonly kind: JobKind
  readonly architecture: string
  readonly distribution: string
  readonly imageType: string
  readonly holder?: { readonly worker: WorkerId; readonly digest: Digest }
  readonly avoid?: WorkerId
  readonly target?: string
  readonly sets?: ReadonlyArray<string>
  /** Of these sets, what only workers have: whoever does the job has to be one of them. */
  readonly bound?: Bound
}

/** What a worker has to have been given by its operator, for this tenant. */
export interface Bound {
  readonly tenantId: TenantId
  readonly sets: ReadonlyArray<string>
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
  /**
   * Most composes have one open job, and there may be a million of them. Lists are replaced, never changed: whoever goes
   * through `values` with pauses must not miss a job for another's leaving.
   */
  readonly #composes = new Map<ComposeId, OpenJob | ReadonlyArray<OpenJob>>()
  readonly #words = new Map<string, string>()
  readonly #needs = new Map<string, Need>()
  /** The same as the last one's, as a rule. */
  #lastNeed: Need | undefined
  readonly #speakers = new Map<string, Speaker>()
  readonly #resting = new Resting<object>()
  readonly #woken: (job: OpenJob, place: object, earlier: OpenJob | undefined) => void
  #size = 0

  /** `woken` hears of each job that rested and where it did, and of the one whose place it has taken. */
  constructor(woken: (job: OpenJob, place: object, earlier: OpenJob | undefined) => void) {
    this.#woken = woken
  }

  get size(): number {
    return this.#size + this.#resting.size
  }

  /** Those that rest come first, as copies: one that is woken meanwhile is told of twice, the second time as it is. */
  *values(): Generator<OpenJob, void> {
    yield* this.#resting.values()
    yield* this.awake()
  }

  *awake(): Generator<OpenJob, void> {
    for (const entry of this.#composes.values()) {
      if (isOne(entry)) yield entry
      else yield* entry
    }
  }

  /** Of one tenant's compose; none if it is another's. */
  of(tenantId: TenantId, composeId: ComposeId): ReadonlyArray<OpenJob> {
    this.wake(tenantId)
    const jobs = allOf(this.#composes.get(composeId))
    return jobs[0]?.tenantId === tenantId ? jobs : none
  }

  get(tenantId: TenantId, composeId: ComposeId, jobId: JobId): OpenJob | undefined {
    this.wake(tenantId)
    const entry = this.#composes.get(composeId)
    if (entry === undefined) return undefined
    const job = isOne(entry) ? (entry.jobId === jobId ? entry : undefined) : entry.find((job) => job.jobId === jobId)
    return job?.tenantId === tenantId ? job : undefined
  }

  queue(tenantId: TenantId, event: typeof JobQueued.Type, at: number, revision: number): OpenJob {
    const { attempt, avoid, composeId, jobId, kind, request, distribution, held, notBefore = 0, priority = "normal" } = event
    const [target, sets] = [this.#targetOf(event), setsOf(event)]
    const job: OpenJob = {
      tenantId, composeId, jobId, priority, attempt, queuedAt: at, revision, notBefore,
      need: {
        kind, architecture: request.architecture, distribution, imageType: request.type,
        ...(held && { holder: held }), ...(avoid && { avoid }), ...(target && { target }), ...(sets.length > 0 && { sets })
      },
      state: "ready", speaker: undefined, since: at, sequence: 0, token: undefined, place: undefined
    }
    this.add(job)
    return job
  }

  /** Takes it over: whoever gave it lets go of it. Answers with the one of this name whose place it has taken. */
  add(job: OpenJob): OpenJob | undefined {
    this.wake(job.tenantId)
    return this.#add(job)
  }

  #add(job: OpenJob): OpenJob | undefined {
    const entry = this.#composes.get(job.composeId)
    const own: { -readonly [Field in keyof OpenJob]: OpenJob[Field] } = job
    own.tenantId = this.#word(job.tenantId)
    own.jobId = this.#word(job.jobId)
    own.need = this.#need(job.need)
    this.#size += 1
    if (entry === undefined) {
      this.#composes.set(own.composeId, own)
      return undefined
    }
    const known = allOf(entry)
    own.composeId = known[0]!.composeId
    const earlier = known.find(({ jobId }) => jobId === own.jobId)
    if (earlier !== undefined) this.#size -= 1
    const others = known.filter((other) => other !== earlier)
    this.#composes.set(own.composeId, others.length === 0 ? own : [...others, own])
    return earlier
  }

  /** A job that only waits: it stays on its page until its tenant's are asked for. */
  rest(tenantId: TenantId, page: JobPage, at: number, place: object): void {
    if (this.#resting.add(tenantId, page, at, place) >= mostAtRest) this.wake(tenantId)
  }

  /** What is told of the tenant's jobs next is about all of them. Answers whether any rested. */
  wake(tenantId: TenantId): boolean {
    const rested = this.#resting.take(tenantId)
    for (const [job, place] of rested) this.#woken(job, place, this.#add(job))
    return rested.length > 0
  }

  release(tenantId: TenantId, composeId: ComposeId, jobId: JobId): OpenJob | undefined {
    const job = this.get(tenantId, composeId, jobId)
    if (job === undefined) return undefined
    const others = allOf(this.#composes.get(composeId)).filter((other) => other !== job)
    if (others.length === 0) this.#composes.delete(composeId)
    else this.#composes.set(composeId, others.length === 1 ? others[0]! : others)
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

  #targetOf({ kind, request, target = 0 }: typeof JobQueued.Type): string | undefined {
    const asked = kind === "upload" ? targetsOf(request)[target] : undefined
    const key = asked && limitKeyOf(asked)
    return key && this.#word(key)
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
    if (need === this.#lastNeed || need.holder !== undefined || need.avoid !== undefined || need.target !== undefined) return need
    const key = `${need.kind}/${need.architecture}/${need.distribution}/${need.imageType}/${need.sets?.join() ?? ""}`
    const known = this.#needs.get(key) ?? need
    this.#needs.set(key, known)
    this.#lastNeed = known
    return known
  }
}

const setsOf = ({ kind, request, target = 0 }: typeof JobQueued.Type): ReadonlyArray<string> => {
  if (kind === "resolve" || kind === "test") return []
  const targets = kind === "build" ? targetsOf(request) : targetsOf(request).slice(target, target + 1)
  return [...new Set(targets.flatMap((each) => credentialsOfTarget(each) ?? []))]
}

/** Of one tenant: to wake them takes some milliseconds. */
const mostAtRest = 5000

const none: ReadonlyArray<OpenJob> = []
const isOne = (entry: OpenJob | ReadonlyArray<OpenJob>): entry is OpenJob => !Array.isArray(entry)
const allOf = (entry: OpenJob | ReadonlyArray<OpenJob> | undefined): ReadonlyArray<OpenJob> =>
  entry === undefined ? none : isOne(entry) ? [entry] : entry

/** Which of a compose's jobs an event is about, if it is about one. */
export const aboutJob = (event: ComposeEvent): Extract<ComposeEvent, { readonly jobId: JobId }> | undefined =>
  "jobId" in event ? event : undefined
