/** Whether nothing was lost, doubled or left lying, by the log and the read models alone. Pure: evidence in, sentences out. */
import type { ComposeEvent } from "../../domain/compose-events.ts"
import { type Compose, isTerminal, type Job } from "../../domain/compose-state.ts"
import { ComposeDecider } from "../../domain/compose.ts"
import { lossesAllowed } from "../../domain/job.ts"
import { canonical } from "../../domain/manifest.ts"
import type { LogEntry, Recorded } from "../../domain/recorded.ts"
import { projections } from "../../projections/all.ts"
import { keyOf, project } from "../../projections/projection.ts"
import type { Promised } from "./clients.ts"
import { storyOf } from "./story.ts"

type Row = Record<string, unknown>

export interface Evidence {
  readonly promised: ReadonlyArray<Promised>
  /** The whole log, in order. */
  readonly log: ReadonlyArray<LogEntry>
  /** Rows of every read model, by its name. */
  readonly rows: ReadonlyMap<string, ReadonlyArray<Row>>
  /** What lies on queues and in work folders though everything has ended. */
  readonly left: ReadonlyArray<string>
}

/** A sentence for each fault; all empty when all is well. */
export interface Verdict {
  /** Promised or decided, and not there. */
  readonly lost: ReadonlyArray<string>
  /** There, or done, more than once. */
  readonly doubled: ReadonlyArray<string>
  /** Not at an end though there is time for it. */
  readonly stuck: ReadonlyArray<string>
  /** Ended otherwise than asked, or against the rules. */
  readonly wrong: ReadonlyArray<string>
  /** A read model that says something else than the log. */
  readonly rows: ReadonlyArray<string>
}

/** Composes that failed by rule, since one job's worker vanished once more often than is allowed. */
export const givenUp = (log: ReadonlyArray<LogEntry>): ReadonlyArray<string> =>
  [...composesOf(log.filter((entry) => entry._tag === "Recorded" && entry.aggregate === "compose"))].filter(([, { gaveUp, status }]) => gaveUp && status === "failed").map(([name]) => name)

/** Names of composes that have not ended, as `tenant/id`. */
export const unfinished = (log: ReadonlyArray<LogEntry>): ReadonlyArray<string> =>
  [...composesOf(log.filter((entry) => entry._tag === "Recorded" && entry.aggregate === "compose"))].filter(([, { status }]) => status === "open").map(([name]) => name)

export const verdictOf = ({ left, log, promised, rows }: Evidence): Verdict => {
  const recorded = log.filter((entry) => entry._tag === "Recorded" && entry.aggregate === "compose")
  const composes = composesOf(recorded)
  const kept = promised.map((one) => keptOf(one, composes))
  const known = new Set(promised.flatMap(({ ask: { tenant }, ids }) => ids.map((id) => `${tenant}/${id}`)))
  const strangers = [...composes.keys()].filter((name) => !known.has(name)).map((name) => `${name} is in the log, and nobody was told of it`)
  const all = [...composes.values(), ...kept]
  return {
    lost: all.flatMap(({ lost }) => lost),
    doubled: [...strangers, ...namesakes(recorded), ...all.flatMap(({ doubled }) => doubled)],
    stuck: [...left, ...all.flatMap(({ stuck }) => stuck)],
    wrong: [
      ...log.flatMap((entry) => entry._tag === "Unreadable" ? [`${entry.subject} cannot be read: ${entry.reason}`] : []),
      ...all.flatMap(({ wrong }) => wrong)
    ],
    rows: [...projections.keys()].flatMap((name) => differencesOf(name, log.filter((entry) => entry._tag === "Recorded"), rows.get(name) ?? []))
  }
}

export const isWell = (verdict: Verdict): boolean => Object.values(verdict).every((faults) => faults.length === 0)

interface Faults {
  readonly lost: Array<string>
  readonly doubled: Array<string>
  readonly stuck: Array<string>
  readonly wrong: Array<string>
}

interface History extends Faults {
  readonly status: Compose["status"]
  /** Why it has failed, as the log has it. */
  readonly why: string
  readonly gaveUp: boolean
}

const composesOf = (recorded: ReadonlyArray<Recorded<"compose">>): ReadonlyMap<string, History> =>
  new Map([...Map.groupBy(recorded, ({ id, tenantId }) => `${tenantId}/${id}`)].map(([name, own]) => [name, historyOf(name, own)]))

const none = (): Faults => ({ lost: [], doubled: [], stuck: [], wrong: [] })

/** One compose on its own: revisions without gap, commands once, attempts started once, jobs done once, all at an end. */
const historyOf = (name: string, recorded: ReadonlyArray<Recorded<"compose">>): History => {
  const faults = none()
  const started = new Set<string>()
  let compose = ComposeDecider.initial
  const losses = new Map<string, number>()
  let why = ""
  let gaveUp = false
  const commands = new Set<string>()
  for (const [index, { events, messageId, revision }] of recorded.entries()) {
    if (revision > index + 1) faults.lost.push(`${name}: revision ${revision} follows ${index}`)
    if (revision < index + 1) faults.doubled.push(`${name}: revision ${revision} is there again`)
    if (commands.has(messageId)) faults.doubled.push(`${name}: the command ${messageId} was recorded twice`)
    commands.add(messageId)
    if (isEnded(compose)) faults.doubled.push(`${name}: ${events.map(({ _tag }) => _tag).join(", ")} after its end`)
    for (const event of events) {
      const said = "jobId" in event ? `${name}/${event.jobId}, attempt ${event.attempt}` : name
      if (event._tag === "ComposeRequested" && compose.status !== "absent") faults.doubled.push(`${name} was requested twice`)
      if (event._tag === "JobStarted" && started.has(said)) faults.doubled.push(`${said} was started twice`)
      if (event._tag === "JobStarted") started.add(said)
      // The worker never touched it, so the same attempt begins again.
      if (event._tag === "JobReturned") started.delete(said)
      if (event._tag === "JobLost") {
        const times = (losses.get(event.jobId) ?? 0) + 1
        losses.set(event.jobId, times)
        if (event.final !== times > lossesAllowed) faults.wrong.push(`${said}: lost ${times} times, and that was ${event.final ? "" : "not "}final`)
        if (event.final) [gaveUp, why] = [true, `${event.jobId} was lost for good, ${event.reason}`]
      }
      if (event._tag === "JobFailed" && event.final) why = `${event.jobId} failed as ${event.failure.class}: ${event.failure.message}`
      if ("jobId" in event) faults.wrong.push(...against(compose.jobs.get(event.jobId), event, said))
      compose = ComposeDecider.evolve(compose, event)
    }
  }
  const all = recorded.flatMap(({ events }) => events)
  const done = all.filter(({ _tag }) => _tag === "JobSucceeded").map((event) => "jobId" in event ? event.jobId : "")
  // What is done again since its image was gone, may succeed again.
  const rebuilds = all.filter(({ _tag }) => _tag === "ImageGone").length
  for (const [jobId, { state }] of compose.jobs) {
    const times = done.filter((other) => other === jobId).length
    if (times > 1 + rebuilds) faults.doubled.push(`${name}/${jobId} succeeded ${times} times`)
    if (compose.status === "succeeded" && times === 0) faults.lost.push(`${name}/${jobId} never succeeded, its compose did`)
    if (isEnded(compose) && compose.status !== "canceled" && !isTerminal(state)) faults.stuck.push(`${name}/${jobId} is ${state}, its compose has ended`)
  }
  if (!isEnded(compose)) faults.stuck.push(`${name} is ${storyOf(compose, recorded)}`)
  return { ...faults, status: compose.status, why, gaveUp }
}

const isEnded = ({ status }: Compose) => status !== "absent" && status !== "open"

/** Which state a job must be in before the event, the attempt being the same. */
const before: Partial<Record<ComposeEvent["_tag"], ReadonlyArray<Job["state"]>>> = {
  JobStarted: ["queued"], JobSucceeded: ["running"], JobFailed: ["queued", "running"], JobLost: ["running"], JobReturned: ["running"], JobCanceled: ["queued", "running"]
}

const against = (job: Job | undefined, event: Extract<ComposeEvent, { readonly jobId: unknown }>, said: string): ReadonlyArray<string> => {
  const states = before[event._tag]
  if (job === undefined) return [`${said}: ${event._tag} of a job that is not in the plan`]
  if (states === undefined || (states.includes(job.state) && job.attempt === event.attempt)) return []
  return [`${said}: ${event._tag} while attempt ${job.attempt} was ${job.state}`]
}

/** One ask: answered with one id, which is in the log and has ended as it should. */
const keptOf = ({ ask, cancel, ids }: Promised, composes: ReadonlyMap<string, History>): Faults => {
  const faults = none()
  const different = new Set(ids)
  if (different.size > 1) faults.doubled.push(`the key ${ask.key} was answered with ${[...different].join(" and ")}`)
  for (const id of different) {
    const found = composes.get(`${ask.tenant}/${id}`)
    const expected = cancel === "done" ? "canceled" : ask.ends
    if (found === undefined) faults.lost.push(`${ask.tenant}/${id} was promised and is not in the log`)
    else if (!["open", "absent", expected].includes(found.status) && !(found.status === "failed" && found.gaveUp)) {
      faults.wrong.push(`${ask.tenant}/${id} should have ${expected} and has ${found.status}${found.why === "" ? "" : `: ${found.why}`}`)
    }
  }
  return faults
}

/** Every ask has a name of its own, so two composes of one name come from one key. */
const namesakes = (recorded: ReadonlyArray<Recorded<"compose">>): ReadonlyArray<string> => {
  const asked = recorded.flatMap(({ events, id, tenantId }) =>
    events.flatMap((event) => event._tag === "ComposeRequested" ? [{ name: `${tenantId}: ${event.request.name}`, id }] : []))
  return [...Map.groupBy(asked, ({ name }) => name)].filter(([, own]) => new Set(own.map(({ id }) => id)).size > 1)
    .map(([name, own]) => `${name} is in the log as ${own.map(({ id }) => id).join(" and ")}`)
}

const differencesOf = (name: string, recorded: ReadonlyArray<Recorded>, rows: ReadonlyArray<Row>): ReadonlyArray<string> => {
  const projection = projections.get(name)!
  const expected = project(projection, recorded)
  const found = new Map(rows.map((row) => [keyOf(projection, String(row["tenantId"]), row), row]))
  const keys = new Set([...expected.keys(), ...found.keys()])
  return [...keys].flatMap((key) => {
    const [wanted, got] = [expected.get(key), found.get(key)]
    if (wanted === undefined) return [`${name} has a row ${key} that the log knows nothing of`]
    if (got === undefined) return [`${name} has no row ${key}`]
    const differ = Object.keys(projection.columns).filter((column) => canonical(wanted[column]) !== canonical(got[column]))
    return differ.map((column) => `${name} ${key}: ${column} is ${canonical(got[column])}, by the log ${canonical(wanted[column])}`)
  })
}
