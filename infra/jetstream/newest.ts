/** What a server that lags behind has not told: on a cluster any of them answers a read, and one that was away tells the past. */
import type { StoredMsg } from "@nats-io/jetstream"
import type { Nats } from "./nats.ts"

export const revisionOf = (subject: string): number => Number(subject.slice(subject.lastIndexOf(".") + 1))

/** The last of a subject's revisions by the server that leads the stream; 0 where there is none. */
export const newestRevision = async ({ jsm }: Nats, stream: string, subject: string): Promise<number> => {
  const last = await jsm.streams.getMessage(stream, { last_by_subj: `${subject}.*` })
  return last === null ? 0 : revisionOf(last.subject)
}

/** Revisions from one to another, both included, by the leader: few, since copies lag behind by little and not for long. */
export const fromLeader = async ({ jsm }: Nats, stream: string, subject: string, from: number, to: number): Promise<ReadonlyArray<StoredMsg>> => {
  const found: Array<StoredMsg> = []
  for (let revision = from; revision <= to; revision++) {
    const message = await jsm.streams.getMessage(stream, { last_by_subj: `${subject}.${revision}` })
    if (message !== null) found.push(message)
  }
  return found
}
