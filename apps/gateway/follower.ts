/** What has been told about a compose, and what is news. No clock, no connection. */
import { type Compose, isTerminal } from "../../domain/compose-state.ts"
import { ComposeDecider } from "../../domain/compose.ts"
import { fold } from "../../domain/decider.ts"
import type { JobId } from "../../domain/ids.ts"
import type { LogLines, ProgressReport } from "../../domain/ports/job-feed.ts"
import type { Recorded } from "../../domain/recorded.ts"
import { composeHistory, type ComposeRow } from "../../projections/compose-history.ts"
import { Speakers } from "./speakers.ts"

/** How far somebody has come: the last decision and the last line. */
export interface Cursor {
  readonly revision: number
  readonly sequence: number
}

export const beginning: Cursor = { revision: 0, sequence: 0 }

export interface Decided {
  readonly _tag: "Decided"
  readonly recorded: Recorded<"compose">
  readonly row: ComposeRow
  readonly compose: Compose
  readonly cursor: Cursor
}

/** `cursor` is where to go on after this. */
export type Told = Decided | { readonly _tag: "Printed"; readonly item: LogLines; readonly cursor: Cursor }

/** Lines can arrive before the log says who may speak; this many wait for it. */
const mostHeld = 1000

export class Follower {
  private row: ComposeRow | undefined
  private compose: Compose = ComposeDecider.initial
  private readonly speakers = new Speakers()
  private readonly lastProgress = new Map<JobId, number>()
  /** When each attempt has printed last, by its own clock. */
  private readonly lastPrinted = new Map<string, number>()
  private held: ReadonlyArray<LogLines> = []
  /** Of the last line that was heard, told or not. */
  private sequence: number
  revision = 0

  /** The lines up to there are known already. */
  constructor(sequence = 0) {
    this.sequence = sequence
  }

  /** Where to go on after all that was told. Held lines are told again to who comes back. */
  get cursor(): Cursor {
    const [first] = this.held
    return { revision: this.revision, sequence: first === undefined ? this.sequence : first.sequence - 1 }
  }

  /** Its row once it has ended, for as long as nobody tries it again. */
  get ended(): ComposeRow | undefined {
    return this.row?.endedAt === null ? undefined : this.row
  }

  knows(item: LogLines): boolean {
    return this.speakers.has(item)
  }

  isRunning(jobId: JobId): boolean {
    return this.compose.jobs.get(jobId)?.state === "running"
  }

  decided(recorded: Recorded<"compose">): ReadonlyArray<Told> {
    this.revision = recorded.revision
    this.compose = fold(ComposeDecider, recorded.events, this.compose)
    for (const [place, event] of recorded.events.entries()) {
      const row = composeHistory.evolve(this.row, { event, recorded, place })
      // What lists are searched by is most of a row, and there are thousands of followers.
      this.row = row && { ...row, terms: [], labels: {}, request: null }
      this.speakers.hear(event)
    }
    const decided: Decided = { _tag: "Decided", recorded, row: this.row!, compose: this.compose, cursor: this.cursor }
    return [decided, ...this.released()]
  }

  /** Lines of one job in the order of their sequence, each once. */
  printed(item: LogLines): ReadonlyArray<Told> {
    this.sequence = Math.max(this.sequence, item.sequence)
    this.lastPrinted.set(item.token, Math.max(item.at, this.lastPrinted.get(item.token) ?? 0))
    return this.told(item)
  }

  /** Whether whoever prints it had not come so far yet. */
  isLater({ at, token }: LogLines): boolean {
    return at > (this.lastPrinted.get(token) ?? at)
  }

  /** Sequences after this are given once more, to other lines. */
  rewind(sequence: number): void {
    this.sequence = Math.min(this.sequence, sequence)
  }

  /** Whether it is news. */
  progressed(item: ProgressReport): boolean {
    const job = this.compose.jobs.get(item.jobId)
    const current = job?.state === "running" && job.attempt === item.attempt && job.token === item.token
    if (!current || item.at <= (this.lastProgress.get(item.jobId) ?? 0)) return false
    this.lastProgress.set(item.jobId, item.at)
    return true
  }

  /** Only who holds or held the attempt is heard. */
  private told(item: LogLines): ReadonlyArray<Told> {
    if (this.knows(item)) return [{ _tag: "Printed", item, cursor: this.cursor }]
    if (this.mayBeKnown(item)) this.held = [...this.held, item].slice(-mostHeld)
    return []
  }

  private released(): ReadonlyArray<Told> {
    const known = this.held.filter((item) => this.knows(item))
    this.held = this.held.filter((item) => !this.knows(item) && this.mayBeKnown(item))
    const { revision, sequence } = this.cursor
    return known.map((item, at) => ({ _tag: "Printed", item, cursor: { revision, sequence: Math.min(sequence, (known[at + 1]?.sequence ?? Infinity) - 1) } }))
  }

  private mayBeKnown({ jobId }: LogLines): boolean {
    const job = this.compose.jobs.get(jobId)
    return job !== undefined && !isTerminal(job.state) && this.ended === undefined
  }
}
