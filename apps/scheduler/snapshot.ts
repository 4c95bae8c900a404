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

/** `positions`: the last sequence taken in, by stream. `overrides`: the policies that operators have set. */
const Head = Schema.fromJsonString(Schema.Struct({
  version: Schema.Literal(2),
  positions: Schema.Record(Schema.String, Schema.Int),
  overrides: Schema.Array(Schema.Tuple([TenantId, Policy]))
}))
export type SnapshotHead = Omit<typeof Head.Type, "version">
const encodeHead = Schema.encodeSync(Head)
const decodeHead = Schema.decodeUnknownOption(Head)

/** Fields as in `row`; strings that occur often are numbers of `words`. */
interface Page {
  readonly words: ReadonlyArray<string>
  readonly rows: ReadonlyArray<ReadonlyArray<string | number>>
}

const pageSize = 100
const states: ReadonlyArray<OpenJobState> = ["delayed", "ready", "assigned", "running"]

export function* encodeSnapshot({ overrides, positions }: SnapshotHead, jobs: Iterable<OpenJob>): Generator<string, void> {
  yield encodeHead({ version: 2, positions: { ...positions }, overrides })
  let page = new PageWriter()
  for (const job of jobs) {
    page.add(job)
    if (page.size < pageSize) continue
    yield page.text()
    page = new PageWriter()
  }
  yield page.text()
  yield "end"
}

class PageWriter {
  readonly #words = new Map<string, number>()
  readonly #rows: Array<Array<string | number>> = []

  get size(): number {
    return this.#rows.length
  }

  add({ attempt, composeId, jobId, need, notBefore, priority, queuedAt, revision, since, speaker, state, tenantId, token }: OpenJob): void {
    const word = (text: string) => {
      const known = this.#words.get(text) ?? this.#words.size
      this.#words.set(text, known)
      return known
    }
    const { architecture, distribution, holder, imageType, kind } = need
    const row: Array<string | number> = [
      composeId, word(tenantId), word(jobId), word(kind), word(architecture), word(distribution), word(imageType), word(priority),
      states.indexOf(state), attempt, queuedAt, revision, notBefore, since
    ]
    if (speaker !== undefined || holder !== undefined) {
      row.push(word(speaker?.scope ?? ""), word(speaker?.worker ?? ""), token ?? "", word(holder?.worker ?? ""), holder?.digest ?? "")
    }
    this.#rows.push(row)
  }

  text(): string {
    return JSON.stringify({ words: [...this.#words.keys()], rows: this.#rows } satisfies Page)
  }
}

/** Whether there was one, whole, that this program can read. What it has told till then does not count if not. */
export const loadSnapshot = Effect.fn("loadSnapshot")(function*(name: string, begin: (head: SnapshotHead) => void, each: (job: OpenJob) => void) {
  let begun = false
  let complete = false
  yield* (yield* Snapshots).load(name).pipe(
    Stream.runForEach((line) => Effect.try({
      try: () => {
        if (!begun) begin(Option.getOrThrow(decodeHead(line)))
        else if (line === "end") complete = true
        else readPage(JSON.parse(line) as Page, each)
        begun = true
      },
      catch: () => new SnapshotsUnavailable({ message: "it is of another version of Kiln, or damaged" })
    }))
  )
  return complete
})

const nobody: ReadonlyArray<string | number> = []

/** It was written by `encodeSnapshot` and nobody else, so it is not checked field by field. */
const readPage = ({ rows, words }: Page, each: (job: OpenJob) => void) => {
  const needs = new Map<string, Need>()
  const needOf = (kind: number, architecture: number, distribution: number, imageType: number): Need => {
    const key = `${kind}/${architecture}/${distribution}/${imageType}`
    const known = needs.get(key) ??
      { kind: words[kind] as JobKind, architecture: words[architecture]!, distribution: words[distribution]!, imageType: words[imageType]! }
    needs.set(key, known)
    return known
  }
  const word = (at: string | number | undefined) => words[at as number] ?? ""
  for (const row of rows) {
    const [composeId, tenantId, jobId, kind, architecture, distribution, imageType, priority, state, attempt, queuedAt, revision, notBefore, since] = row
    const [scope, worker, token, holder, digest] = row.length > 14 ? row.slice(14) : nobody
    const shared = needOf(kind as number, architecture as number, distribution as number, imageType as number)
    each({
      tenantId: word(tenantId) as TenantId,
      composeId: composeId as ComposeId,
      jobId: word(jobId) as JobId,
      need: word(holder) === "" ? shared : { ...shared, holder: { worker: word(holder) as WorkerId, digest: digest as Digest } },
      priority: word(priority) as Priority,
      attempt: attempt as number,
      queuedAt: queuedAt as number,
      revision: revision as number,
      notBefore: notBefore as number,
      state: states[state as number]!,
      speaker: word(worker) === "" ? undefined : { scope: word(scope) as PoolScope, worker: word(worker) as WorkerId },
      since: since as number,
      sequence: 0,
      token: token === undefined || token === "" ? undefined : token as AttemptToken,
      place: undefined
    })
  }
}
