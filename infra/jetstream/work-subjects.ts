/** The subjects of the work account, and what one worker may do with them. All tokens are checked before they get here. */
import type { Queue } from "../../domain/ports/work.ts"
import { Architecture, type ComposeId, type JobId, PoolId, type TenantId, WorkerId } from "../../domain/ids.ts"
import { JobKind } from "../../domain/job.ts"
import type { Speaker } from "../../domain/work.ts"

export const queueSubject = ({ pool, architecture, kind }: Queue): string => `jobs.${pool}.${architecture}.${kind}`
export const queueConsumer = ({ pool, architecture, kind }: Queue): string => `${pool}_${architecture}_${kind}`

export const queuesOf = (pool: PoolId): ReadonlyArray<Queue> =>
  Architecture.literals.flatMap((architecture) => JobKind.literals.map((kind) => ({ pool, architecture, kind })))

export const workerSubject = ({ pool, worker }: Speaker, rest: string): string => `worker.${pool}.${worker}.${rest}`

export const feedSubject = (speaker: Speaker, feed: "progress" | "log", tenant: TenantId, compose: ComposeId, job: JobId): string =>
  workerSubject(speaker, `${feed}.${tenant}.${compose}.${job}`)

/** Whoever the worker is: the feed of a compose is told apart by its token, not by its sender. */
export const feedFilter = (feed: "progress" | "log", tenant: TenantId, compose: ComposeId): string =>
  `worker.*.*.${feed}.${tenant}.${compose}.*`

export const controlSubject = ({ pool, worker }: Speaker): string => `control.${pool}.${worker}`
export const rollCallSubject = "control.all"

/** Replies to a worker go below this and nowhere else. */
export const inboxPrefix = ({ pool, worker }: Speaker): string => `_INBOX_${pool}_${worker}`

/** `worker.<pool>.<worker>.…`; the server let only this worker publish there. */
export const speakerOf = (subject: string): Speaker => {
  const [, pool, worker] = subject.split(".")
  return { pool: PoolId.make(pool ?? ""), worker: WorkerId.make(worker ?? "") }
}

export interface WorkerPermissions {
  readonly pub: { readonly allow: ReadonlyArray<string> }
  readonly sub: { readonly allow: ReadonlyArray<string> }
}

/** Enough to pull and acknowledge jobs of its pool and to speak for itself; no stream, no consumer of its own making, no log. */
export const workerPermissions = (speaker: Speaker): WorkerPermissions => ({
  pub: {
    allow: [
      ...queuesOf(speaker.pool).map(queueConsumer).flatMap((consumer) => [
        `$JS.API.CONSUMER.INFO.JOBS.${consumer}`,
        `$JS.API.CONSUMER.MSG.NEXT.JOBS.${consumer}`,
        `$JS.ACK.JOBS.${consumer}.>`
      ]),
      workerSubject(speaker, ">")
    ]
  },
  sub: { allow: [`${inboxPrefix(speaker)}.>`, controlSubject(speaker), rollCallSubject] }
})
