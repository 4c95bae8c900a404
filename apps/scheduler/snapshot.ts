/**
 * The scheduler's memory as lines of text, so that a restart reads the log from there and not from its beginning. Jobs may
 * change while it is written: the log is read from the positions of its beginning, and what is read twice changes nothing.
 */
import { Effect, Option, Schema, Stream } from "effect"
import { type AttemptToken, type ComposeId, type Digest, type JobId, type PoolScope, TenantId, type WorkerId } from "../../domain/ids.ts"
import type { JobKind } from "../../domain/job.ts"
import { Policy } from "../../domain/policy.ts"
import type { Priority } from "../../domain/compose-request.ts"
import { Snapshots, SnapshotsUnavailable } from "../../domain/ports/snapshots.ts"
import type { Need, OpenJob, OpenJobState } from "../../domain/scheduling/open-jobs.ts"
import type { JobPage } from "../../domain/scheduling/resting.ts"

/** `positions`: the last sequence taken in, by stream. `overrides`: the policies that operators have set. */
const Head = Schema.fromJsonString(Schema.Struct({
  version: Schema.Literal(3),
  positions: Schema.Record(Schema.String, Schema.Int),
  overrides: Schema.Array(Schema.Tuple([TenantId, Policy]))
}))
export type SnapshotHead = Omit<typeof Head.Type, "version">
const encodeHead = Schema.encodeSync(Head)
const decodeHead = Schema.decodeUnknownOption(Head)

/** One value a job, or the one that all jobs of the page have. */
type Column = number | ReadonlyArray<number>

/**
 * Some hundred jobs, by columns: a million of them are read in seconds that way. Strings that occur often are numbers into
 * the words of this page and all before it, needs likewise; `queuedAt` and `since` are relative to `at`.
 */
interface Page {
  readonly words: ReadonlyArray<string>
  readonly needs: ReadonlyArray<readonly [kind: number, architecture: number, distribution: number, imageType: number]>
  readonly at: number
  readonly composeIds: ReadonlyArray<string>
  readonly columns: Record<ColumnName, Column>
  /** What few jobs have, by the job's place in the page. */
  readonly taken: ReadonlyArray<readonly [at: number, scope: number, worker: number, token: string]>
  readonly held: ReadonlyArray<readonly [at: number, worker: number, digest: string]>
  /** Absent from what was written before there were any. */
  readonly avoided?: ReadonlyArray<readonly [at: number, worker: number]>
  readonly targets?: ReadonlyArray<readonly [at: number, target: number]>
  readonly sets?: ReadonlyArray<readonly [at: number, ...names: ReadonlyArray<number>]>
}

const columnNames = ["tenantId", "jobId", "need", "priority", "state", "attempt", "queuedAt", "revision", "notBefore", "since"] as const
type ColumnName = typeof columnNames[number]

const pageSize = 250
const states: ReadonlyArray<OpenJobState> = ["delayed", "ready", "assigned", "running"]

export function* encodeSnapshot({ overrides, positions }: SnapshotHead, jobs: Iterable<OpenJob>): Generator<string, void> {
  yield encodeHead({ version: 3, positions: { ...positions }, overrides })
  const writer = new PageWriter()
  for (const job of jobs) {
    writer.add(job)
    if (writer.size === pageSize) yield writer.take()
  }
  yield writer.take()
  yield "end"
}

class PageWriter {
  readonly #words = new Map<string, number>()
  readonly #needs = new Map<string, number>()
  #page = emptyPage(0)

  get size(): number {
    return this.#page.composeIds.length
  }

  add({ attempt, composeId, jobId, need, notBefore, priority, queuedAt, revision, since, speaker, state, tenantId, token }: OpenJob): void {
    if (this.size === 0) this.#page = { ...this.#page, at: queuedAt }
    const { at, avoided, columns, composeIds, held, sets, taken, targets } = this.#page
    const place = composeIds.push(composeId) - 1
    columns.tenantId.push(this.#word(tenantId))
    columns.jobId.push(this.#word(jobId))
    columns.need.push(this.#need(need))
    columns.priority.push(this.#word(priority))
    columns.state.push(states.indexOf(state))
    columns.attempt.push(attempt)
    columns.queuedAt.push(queuedAt - at)
    columns.revision.push(revision)
    columns.notBefore.push(notBefore)
    columns.since.push(since - at)
    if (speaker !== undefined) taken.push([place, this.#word(speaker.scope), this.#word(speaker.worker), token ?? ""])
    if (need.holder !== undefined) held.push([place, this.#word(need.holder.worker), need.holder.digest])
    if (need.avoid !== undefined) avoided.push([place, this.#word(need.avoid)])
    if (need.target !== undefined) targets.push([place, this.#word(need.target)])
    if (need.sets !== undefined) sets.push([place, ...need.sets.map((name) => this.#word(name))])
  }

  /** The page as text; the next one is begun. */
  take(): string {
    const { columns, ...rest } = this.#page
    this.#page = emptyPage(0)
    return JSON.stringify({ ...rest, columns: Object.fromEntries(columnNames.map((name) => [name, narrowed(columns[name])])) })
  }

  #word(text: string): number {
    return numbered(this.#words, text, () => this.#page.words.push(text))
  }

  #need({ architecture, distribution, imageType, kind }: Need): number {
    return numbered(this.#needs, `${kind}/${architecture}/${distribution}/${imageType}`, () =>
      this.#page.needs.push([this.#word(kind), this.#word(architecture), this.#word(distribution), this.#word(imageType)]))
  }
}

const emptyPage = (at: number) => ({
  words: [] as Array<string>,
  needs: [] as Array<Page["needs"][number]>,
  at,
  composeIds: [] as Array<string>,
  columns: Object.fromEntries(columnNames.map((name) => [name, []])) as unknown as Record<ColumnName, Array<number>>,
  taken: [] as Array<Page["taken"][number]>,
  held: [] as Array<Page["held"][number]>,
  avoided: [] as Array<readonly [at: number, worker: number]>,
  targets: [] as Array<readonly [at: number, target: number]>,
  sets: [] as Array<readonly [at: number, ...names: ReadonlyArray<number>]>
})

const numbered = (known: Map<string, number>, key: string, isNew: () => void): number => {
  const number = known.get(key)
  if (number !== undefined) return number
  isNew()
  known.set(key, known.size)
  return known.size - 1
}

const narrowed = (column: ReadonlyArray<number>): Column => column.every((value) => value === column[0]) ? column[0] ?? 0 : column

/** Whether there was one, whole, that this program can read. What it has told till then does not count if not. */
export const loadSnapshot = Effect.fn("loadSnapshot")(function*(name: string, begin: (head: SnapshotHead) => void, take: (page: JobPage) => void) {
  const reader = new PageReader()
  let begun = false
  let complete = false
  yield* (yield* Snapshots).load(name).pipe(
    Stream.runForEach((line) => Effect.try({
      try: () => {
        if (!begun) begin(Option.getOrThrow(decodeHead(line)))
        else if (line === "end") complete = true
        else take(reader.read(JSON.parse(line) as Page))
        begun = true
      },
      catch: () => new SnapshotsUnavailable({ message: "it is of another version of Kiln, or damaged" })
    }))
  )
  return complete
})

/** They were written by `encodeSnapshot` and nobody else, so they are not checked field by field. */
class PageReader {
  readonly #words: Array<string> = []
  readonly #needs: Array<Need> = []

  read({ words, needs, ...page }: Page): JobPage {
    for (const word of words) this.#words.push(word)
    for (const [kind, architecture, distribution, imageType] of needs) {
      this.#needs.push({
        kind: this.#words[kind] as JobKind, architecture: this.#words[architecture]!,
        distribution: this.#words[distribution]!, imageType: this.#words[imageType]!
      })
    }
    return new ReadPage(page, this.#words, this.#needs)
  }
}

class ReadPage implements JobPage {
  readonly #page: Omit<Page, "words" | "needs">
  readonly #words: ReadonlyArray<string>
  readonly #needs: ReadonlyArray<Need>

  constructor(page: Omit<Page, "words" | "needs">, words: ReadonlyArray<string>, needs: ReadonlyArray<Need>) {
    this.#page = page
    this.#words = words
    this.#needs = needs
  }

  get size(): number {
    return this.#page.composeIds.length
  }

  job(place: number): OpenJob {
    const { at, columns: { attempt, jobId, notBefore, priority, queuedAt, revision, since, state, tenantId }, composeIds, taken } = this.#page
    const by = entryOf(taken, place)
    return {
      tenantId: this.#words[of(tenantId, place)] as TenantId,
      composeId: composeIds[place] as ComposeId,
      jobId: this.#words[of(jobId, place)] as JobId,
      need: this.#need(place),
      priority: this.#words[of(priority, place)] as Priority,
      attempt: of(attempt, place),
      queuedAt: at + of(queuedAt, place),
      revision: of(revision, place),
      notBefore: of(notBefore, place),
      state: states[of(state, place)]!,
      speaker: by && { scope: this.#words[by[1]] as PoolScope, worker: this.#words[by[2]] as WorkerId },
      since: at + of(since, place),
      sequence: 0,
      token: by === undefined || by[3] === "" ? undefined : by[3] as AttemptToken,
      place: undefined
    }
  }

  #need(place: number): Need {
    const { avoided = [], columns, held, sets = [], targets = [] } = this.#page
    const need = this.#needs[of(columns.need, place)]!
    const [holder, avoid, target, named] = [entryOf(held, place), entryOf(avoided, place), entryOf(targets, place), entryOf(sets, place)]
    if (holder === undefined && avoid === undefined && target === undefined && named === undefined) return need
    return {
      ...need,
      ...(holder && { holder: { worker: this.#words[holder[1]] as WorkerId, digest: holder[2] as Digest } }),
      ...(avoid && { avoid: this.#words[avoid[1]] as WorkerId }),
      ...(target && { target: this.#words[target[1]]! }),
      ...(named && { sets: named.slice(1).map((name) => this.#words[name]!) })
    }
  }
}

const entryOf = <Entry extends readonly [at: number, ...rest: ReadonlyArray<unknown>]>(entries: ReadonlyArray<Entry>, place: number): Entry | undefined =>
  entries.length === 0 ? undefined : entries.find(([at]) => at === place)

const of = (column: Column, place: number): number => typeof column === "number" ? column : column[place]!
