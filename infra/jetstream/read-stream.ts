/** One aggregate's decisions from one stream, and places in it. */
import type { MsgRequest, StoredMsg } from "@nats-io/jetstream"
import type { LogEntry } from "../../domain/recorded.ts"
import { decode } from "./envelope.ts"
import type { Nats } from "./nats.ts"
import { fromLeader, newestRevision, revisionOf } from "./newest.ts"

export type Load = (nats: Nats, stream: string, subject: string, after: number) => Promise<ReadonlyArray<LogEntry>>

export const loaderFor = (replicas: number): Load => replicas === 1 ? load : loadWithLeader

export const toEntry = (stream: string, message: StoredMsg): LogEntry =>
  decode(message.subject, { stream, sequence: message.seq }, message.string())

/** The server answers at most 1,024 subjects at once. */
const page = 1000

const load: Load = async (nats, stream, subject, after) => {
  try {
    if (after === 0) return await collect(nats, stream, [`${subject}.*`])
  } catch (error) {
    if ((error as { code?: number }).code !== 413) throw error
  }
  const last = await nats.jsm.direct.getMessage(stream, { last_by_subj: `${subject}.*` })
  const entries: Array<LogEntry> = []
  for (let from = after + 1; last !== null && from <= revisionOf(last.subject); from += page) {
    const length = Math.min(page, revisionOf(last.subject) - from + 1)
    entries.push(...await collect(nats, stream, Array.from({ length }, (_, index) => `${subject}.${from + index}`)))
  }
  return entries
}

/** Any server of a cluster answers the read itself; the leader says how far it should have come. */
const loadWithLeader: Load = async (nats, stream, subject, after) => {
  const [entries, newest] = await Promise.all([load(nats, stream, subject, after), newestRevision(nats, stream, subject)])
  const last = entries.at(-1)
  const known = last === undefined ? after : revisionIn(last)
  if (known >= newest) return entries
  return [...entries, ...(await fromLeader(nats, stream, subject, known + 1, newest)).map((message) => toEntry(stream, message))]
}

export const revisionIn = (entry: LogEntry): number => entry._tag === "Recorded" ? entry.revision : revisionOf(entry.subject)

const collect = async (nats: Nats, stream: string, subjects: Array<string>): Promise<ReadonlyArray<LogEntry>> => {
  const entries: Array<LogEntry> = []
  for await (const message of await nats.jsm.direct.getLastMessagesFor(stream, { multi_last: subjects })) {
    entries.push(toEntry(stream, message))
  }
  return entries
}

/** The sequence of the last entry stored before a time, by the leader. */
export const lastBefore = async ({ jsm }: Nats, stream: string, at: number): Promise<number> => {
  // Asked first: what is stored while the next is looked for comes after.
  const { state } = await jsm.streams.info(stream)
  const query = { start_time: new Date(at).toISOString() }
  // The client's types know of this query for other servers than the leader only.
  const next = await jsm.streams.getMessage(stream, query as unknown as MsgRequest)
  return next === null ? state.last_seq : next.seq - 1
}
