/** How a compose stands that has not ended, for whoever has to find out why. Times are those of the log, in UTC. */
import type { ComposeEvent } from "../../domain/compose-events.ts"
import { type Compose, isTerminal, type Job } from "../../domain/compose-state.ts"
import type { Recorded } from "../../domain/recorded.ts"

const lastDecisions = 4

/** Each job that is open, since when, and the last that the log has of all of them. */
export const storyOf = ({ jobs, status }: Compose, recorded: ReadonlyArray<Recorded<"compose">>): string => {
  const open = [...jobs.values()].filter(({ state }) => !isTerminal(state)).map((job) => jobIn(job, recorded))
  const last = recorded.slice(-lastDecisions).map(({ at, events }) => `${timeOf(at)} ${events.map(inWords).join(" + ")}`)
  return `${status}: ${open.length === 0 ? "no job is open" : open.join(", ")}; last: ${last.join("; ")}`
}

const jobIn = ({ attempt, jobId, state, worker }: Job, recorded: ReadonlyArray<Recorded<"compose">>): string => {
  const told = recorded.findLast(({ events }) => events.some((event) => "jobId" in event && event.jobId === jobId))
  const queued = told?.events.findLast((event) => event._tag === "JobQueued" && event.jobId === jobId)
  return [
    `${jobId} ${state}`,
    ...(told === undefined ? [] : [`attempt ${attempt} since ${timeOf(told.at)}`]),
    ...(queued?._tag === "JobQueued" && queued.notBefore !== undefined ? [`not before ${timeOf(queued.notBefore)}`] : []),
    ...(queued?._tag === "JobQueued" && queued.held !== undefined ? [`image held by ${queued.held.worker}`] : []),
    ...(state === "running" && worker !== undefined ? [`by ${worker}`] : [])
  ].join(" ")
}

const inWords = (event: ComposeEvent): string => {
  const job = "jobId" in event ? ` ${event.jobId} ${event.attempt}` : ""
  const why = event._tag === "JobLost" ? ` (${event.reason})` : event._tag === "JobFailed" ? ` (${event.failure.message})` : ""
  return `${event._tag}${job}${event._tag === "JobStarted" ? ` by ${event.worker}` : ""}${why}`
}

const timeOf = (at: number) => new Date(at).toISOString().slice(11, 23)
