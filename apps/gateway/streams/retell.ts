/** A compose from its beginning: decisions and kept lines in the order they came, as far as clocks agree. */
import { Effect } from "effect"
import type { JobId } from "../../../domain/ids.ts"
import { JobFeed, type LogLines } from "../../../domain/ports/job-feed.ts"
import type { Recorded } from "../../../domain/recorded.ts"
import { ComposeId } from "../../../domain/ids.ts"
import { Follower, type Told } from "../follower.ts"
import { Speakers } from "../speakers.ts"

type Entry = Recorded<"compose">

/** So long lines are kept; a little more, since clocks differ. */
const keptMs = 25 * 3_600_000
/** By so much a clock may be behind another. */
const skewMs = 60_000

export interface Retold {
  readonly follower: Follower
  /** Up to there all lines were read. */
  readonly horizon: number
}

/** Lines after a sequence, decisions from the first on, handed on by pages. */
export const retell = Effect.fnUntraced(function*<E, R>(
  recorded: readonly [Entry, ...Array<Entry>], after: number, say: (told: ReadonlyArray<Told>) => Effect.Effect<void, E, R>
) {
  const feed = yield* JobFeed
  const follower = new Follower(after)
  const speakers = new Speakers(recorded.flatMap(({ events }) => events))
  let next = 0
  const decidedWhile = (holds: (entry: Entry) => boolean): ReadonlyArray<Told> => {
    const told: Array<Told> = []
    while (next < recorded.length && holds(recorded[next]!)) told.push(...follower.decided(recorded[next++]!))
    return told
  }
  /** What was decided before a line was printed. */
  const before = (line: LogLines) => speakers.has(line)
    ? decidedWhile((entry) => !follower.knows(line) || (entry.at <= line.at && !ends(entry, line.jobId, line.attempt)))
    : []

  let horizon = after
  const begun = firstLines(recorded)
  for (let more = begun !== undefined; more;) {
    const page = yield* feed.lines(recorded[0].tenantId, ComposeId.make(recorded[0].id), horizon, begun)
    yield* say(page.lines.flatMap((line) => [...before(line), ...follower.printed(line)]))
    horizon = page.lines.at(-1)?.sequence ?? horizon
    more = page.more
  }
  yield* say(decidedWhile(() => true))
  return { follower, horizon } satisfies Retold
})

/** When lines can have been printed first; nothing if there are none, or none any more. */
const firstLines = (recorded: ReadonlyArray<Entry>): number | undefined => {
  const started = recorded.find(({ events }) => events.some(({ _tag }) => _tag === "JobStarted"))
  const last = recorded.at(-1)!
  const isOld = endsCompose(last) && last.at < Date.now() - keptMs
  return started === undefined || isOld ? undefined : started.at - skewMs
}

export const endsCompose = ({ events }: Entry): boolean =>
  events.some(({ _tag }) => _tag === "ComposeFinished" || _tag === "ComposeCanceled")

const ends = ({ events }: Entry, jobId: JobId, attempt: number): boolean =>
  events.some((event) => event._tag !== "JobStarted" && "attempt" in event && event.jobId === jobId && event.attempt === attempt)
