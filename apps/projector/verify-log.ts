/** Whether the log is whole: each aggregate's decisions without a gap, each blob that is named in its store. */
import { Effect, Stream } from "effect"
import { blobsIn } from "../../domain/blobs-in.ts"
import type { Digest } from "../../domain/ids.ts"
import { Blobs } from "../../domain/ports/blobs.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import type { LogEntry, Recorded } from "../../domain/recorded.ts"
import type { OnProgress } from "./replay-part.ts"

export interface LogFaults {
  readonly entries: number
  readonly blobs: number
  /** At most a hundred sentences, of `count`. */
  readonly faults: ReadonlyArray<string>
  readonly count: number
}

const mostFaults = 100
const batchSize = 500
const mostRemembered = 100_000

export const verifyLog = Effect.fn("verifyLog")(function*(onProgress: OnProgress = () => Effect.void) {
  const log = yield* EventLog
  const faults: Array<string> = []
  let [count, entries, blobs] = [0, 0, 0]
  const complain = (fault: string) => {
    count += 1
    if (faults.length < mostFaults) faults.push(fault)
  }
  /** The last revision of what is open. What has ended is forgotten, so that memory follows the work under way, not the log. */
  const revisions = new Map<string, number>()
  const known = new Set<Digest>()

  const follows = Effect.fnUntraced(function*(entry: Recorded) {
    const name = nameOf(entry)
    const before = revisions.get(name)
    if (before === undefined ? entry.revision !== 1 : entry.revision !== before + 1) {
      // Ended before and taken up again, or with a gap: its own history tells.
      const { recorded } = yield* log.read(entry)
      const gap = recorded.findIndex(({ revision }, at) => revision !== at + 1)
      if (gap !== -1) complain(`${name} has no revision ${gap + 1}`)
    }
    if (entry.events.some(({ _tag }) => ends.has(_tag))) revisions.delete(name)
    else revisions.set(name, entry.revision)
  })

  const isThere = Effect.fnUntraced(function*({ blob, entry }: { readonly blob: Digest; readonly entry: Recorded }) {
    blobs += 1
    if (!(yield* (yield* Blobs).has(blob))) complain(`${blob}, which revision ${entry.revision} of ${nameOf(entry)} names, is not there`)
    if (known.size >= mostRemembered) known.clear()
    known.add(blob)
  })

  const look = Effect.fnUntraced(function*(batch: ReadonlyArray<LogEntry>) {
    const named: Array<{ readonly blob: Digest; readonly entry: Recorded }> = []
    for (const entry of batch) {
      entries += 1
      if (entry._tag === "Unreadable") {
        complain(`${entry.subject} cannot be read: ${entry.reason}`)
        continue
      }
      yield* follows(entry)
      for (const blob of blobsIn(entry.events)) if (!known.has(blob)) named.push({ blob, entry })
    }
    yield* Effect.forEach(named, isThere, { concurrency: 16, discard: true })
  })

  for (const stream of log.streams) {
    const head = yield* log.head(stream)
    yield* log.scan(stream, { after: 0, upTo: head }).pipe(
      Stream.grouped(batchSize),
      Stream.runForEach((batch) => Effect.andThen(look(batch), onProgress({ stream, position: batch.at(-1)!.position.sequence, head })))
    )
  }
  return { entries, blobs, faults, count } satisfies LogFaults
})

const ends = new Set(["ComposeFinished", "ComposeCanceled"])
const nameOf = ({ aggregate, id, tenantId }: Recorded) => `${tenantId}.${aggregate}.${id}`
