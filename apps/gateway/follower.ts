/** What one listener has been told about a compose, and what is news to it. No clock, no connection. */
import { type Compose, ComposeDecider, isTerminal } from "../../domain/compose.ts"
import { fold } from "../../domain/decider.ts"
import type { JobId } from "../../domain/ids.ts"
import type { LogLines, ProgressReport } from "../../domain/ports/job-feed.ts"
import type { Recorded } from "../../domain/recorded.ts"
import { composeHistory, type ComposeRow } from "../../projections/compose-history.ts"
import type { Cursor } from "./follow-compose.ts"
import { Speakers } from "./speakers.ts"

export interface Decided {
  readonly _tag: "Decided"
  readonly recorded: Recorded<"compose">
  readonly row: ComposeRow
  readonly compose: Compose
  readonly cursor: Cursor
}

/** `cursor` is where to go on after this. */
export type Followed =
  | Decided
  | { readonly _tag: "Printed"; readonly item: LogLines; readonly cursor: Cursor }
  | { readonly _tag: "Progressed"; readonly item: ProgressReport }
  | { readonly _tag: "Ended"; readonly row: ComposeRow }

/** Lines can arrive before the log says who may speak; this many wait for it. */
const mostHeld = 1000

export class Follower {
  private row: ComposeRow | undefined
  private compose: Compose = ComposeDecider.initial
  private readonly speakers = new Speakers()
  private readonly lastProgress = new Map<JobId, number>()
  private held: ReadonlyArray<LogLines> = []
  private readonly from: Cursor
  private revision = 0
  /** Of the last line that was read, told or not. */
  sequence: number

  constructor(from: Cursor) {
    this.from = from
    this.sequence = from.sequence
  }

  get ended(): boolean {
    return this.row !== undefined && this.row.endedAt !== null
  }

  get running(): boolean {
    return [...this.compose.jobs.values()].some(({ state }) => state === "running")
  }

  decided(recorded: Recorded<"compose">): ReadonlyArray<Followed> {
    this.revision = recorded.revision
    this.compose = fold(ComposeDecider, recorded.events, this.compose)
    for (const [place, event] of recorded.events.entries()) {
      this.row = composeHistory.evolve(this.row, { event, recorded, place })
      this.speakers.hear(event)
    }
    const news: ReadonlyArray<Followed> = recorded.revision > this.from.revision
      ? [{ _tag: "Decided", recorded, row: this.row!, compose: this.compose, cursor: this.cursor }]
      : []
    const waiting = this.held
    this.held = []
    return [...news, ...waiting.flatMap((item) => this.told(item))]
  }

  /** Lines in the order of their sequence. */
  printed(item: LogLines): ReadonlyArray<Followed> {
    if (item.sequence <= this.sequence) return []
    this.sequence = item.sequence
    return this.told(item)
  }

  progressed(item: ProgressReport): ReadonlyArray<Followed> {
    const job = this.compose.jobs.get(item.jobId)
    const current = job?.state === "running" && job.attempt === item.attempt && job.token === item.token
    if (!current || item.at <= (this.lastProgress.get(item.jobId) ?? 0)) return []
    this.lastProgress.set(item.jobId, item.at)
    return [{ _tag: "Progressed", item }]
  }

  end(): Followed {
    return { _tag: "Ended", row: this.row! }
  }

  /** Only who holds or held the attempt is heard. */
  private told(item: LogLines): ReadonlyArray<Followed> {
    if (this.speakers.has(item)) return [{ _tag: "Printed", item, cursor: this.cursor }]
    const job = this.compose.jobs.get(item.jobId)
    if (job !== undefined && !isTerminal(job.state) && !this.ended) this.held = [...this.held, item].slice(-mostHeld)
    return []
  }

  /** Held lines are told again to who comes back. */
  private get cursor(): Cursor {
    const [first] = this.held
    return {
      revision: Math.max(this.revision, this.from.revision),
      sequence: first === undefined ? this.sequence : first.sequence - 1
    }
  }
}
