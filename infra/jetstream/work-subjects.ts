/** The subjects of the work account, and what one worker may do with them. All tokens are checked before they get here. */
import { type ComposeId, type JobId, PoolScope, type TenantId, WorkerId } from "../../domain/ids.ts"
import type { Speaker } from "../../domain/work.ts"

/** Every worker has a queue of its own: whoever gives jobs out has chosen it, for what it can do or for what it holds. */
export const queueSubject = ({ scope, worker }: Speaker): string => `jobs.${scope}.${worker}`
/** No worker's name holds an `_`, so no two workers share one. */
export const queueConsumer = ({ scope, worker }: Speaker): string => `${scope}_${worker}`

/** `jobs.<scope>.<worker>` */
export const queueOf = speakerIn

export const workerSubject = ({ scope, worker }: Speaker, rest: string): string => `worker.${scope}.${worker}.${rest}`

export const feedSubject = (speaker: Speaker, feed: "progress" | "log", tenant: TenantId, compose: ComposeId, job: JobId): string =>
  workerSubject(speaker, `${feed}.${tenant}.${compose}.${job}`)

/** Whoever the worker is: the feed of a compose is told apart by its token, not by its sender. */
export const feedFilter = (feed: "progress" | "log", tenant: TenantId, compose: ComposeId): string =>
  `worker.*.*.${feed}.${tenant}.${compose}.*`

export const tenantFeed = (feed: "progress" | "log", tenant: TenantId): string => `worker.*.*.${feed}.${tenant}.*.*`

export const controlSubject = ({ scope, worker }: Speaker): string => `control.${scope}.${worker}`
export const rollCallSubject = "control.all"

/** Whoever is not sent on an errand cannot guess its id. */
export const errandSubject = (speaker: Speaker, id: string): string => workerSubject(speaker, `errand.${id}`)

/** Of a reply that is a part of a file: which. */
export const partHeader = "Kiln-Part"

/** Replies to a worker go below this and nowhere else. */
export const inboxPrefix = ({ scope, worker }: Speaker): string => `_INBOX_${scope}_${worker}`

/** `worker.<scope>.<worker>.…`; the server let only this worker publish there. */
export const speakerOf = speakerIn

function speakerIn(subject: string): Speaker {
  const [, scope, worker] = subject.split(".")
  return { scope: PoolScope.make(scope ?? ""), worker: WorkerId.make(worker ?? "") }
}

/** What of the JetStream API is open to workers goes by this name in their account. */
export const queuesApi = "queues"

export interface WorkerPermissions {
  readonly pub: { readonly allow: ReadonlyArray<string> }
  readonly sub: { readonly allow: ReadonlyArray<string> }
}

/** Enough to take and acknowledge the jobs on its own queue and to speak for itself; no stream, no consumer of its own making, no log. */
export const workerPermissions = (speaker: Speaker): WorkerPermissions => {
  const consumer = queueConsumer(speaker)
  return {
    pub: {
      allow: [
        `${queuesApi}.CONSUMER.INFO.JOBS.${consumer}`,
        `${queuesApi}.CONSUMER.MSG.NEXT.JOBS.${consumer}`,
        `$JS.ACK.JOBS.${consumer}.>`,
        workerSubject(speaker, ">")
      ]
    },
    sub: { allow: [`${inboxPrefix(speaker)}.>`, controlSubject(speaker), rollCallSubject] }
  }
}
