/** The same facts about a running compose, for a terminal and for a log. */
import { type Live, type LiveJob, isOver } from "./live.ts"
import { harmless, painted, type OutputShape } from "./output.ts"
import { bytes, rate, span } from "./units.ts"

export const nameOf = (live: Live, { id, image, kind }: LiveJob) =>
  [...live.jobs.values()].some((job) => job.image !== image) || kind === "upload" ? id : kind

/** `packages 42 %  120 MiB of 340 MiB  11 MiB/s`. */
const progressWords = ({ progress }: LiveJob) => {
  if (progress === undefined) return []
  const { bytesDone, bytesTotal, percent, stage } = progress
  const size = bytesDone === undefined ? [] : [bytesTotal === undefined ? bytes(bytesDone) : `${bytes(bytesDone)} of ${bytes(bytesTotal)}`]
  const speed = progress.rate === undefined || progress.rate < 1 ? [] : [rate(progress.rate)]
  return [`${String(Math.floor(percent)).padStart(3)} %`, stage, ...size, ...speed]
}

const attemptWords = ({ attempt }: LiveJob) => (attempt > 1 ? [`attempt ${attempt}`] : [])
const failureWords = ({ failure }: LiveJob) => (failure === undefined ? [] : [`${failure.class}: ${failure.message}`])
const took = ({ endedAt, startedAt }: LiveJob) =>
  endedAt === undefined || startedAt === undefined ? [] : [span(endedAt - startedAt)]

/** What there is to say when a job has come to another state; a job that only waits is not worth a line. */
export const changeOf = (live: Live, before: LiveJob | undefined, job: LiveJob): string | undefined => {
  if (before?.status === job.status && before.attempt === job.attempt) return undefined
  if (job.status === "waiting" || job.status === "skipped" || job.status === "queued" && job.attempt <= 1) return undefined
  const where = job.status === "running" && job.worker !== undefined ? [`on ${job.worker}`] : []
  return [nameOf(live, job), job.status, ...where, ...attemptWords(job), ...took(job), ...failureWords(job)].map(harmless).join("  ")
}

export const progressLine = (live: Live, job: LiveJob, now: number) =>
  [nameOf(live, job), ...progressWords(job), ...elapsed(job, now)].map(harmless).join("  ")

const elapsed = ({ startedAt }: LiveJob, now: number) => (startedAt === undefined ? [] : [span(now - startedAt)])

const marks: Record<string, readonly [mark: string, colour: "green" | "red" | "yellow"]> = {
  succeeded: ["✓", "green"], failed: ["✗", "red"], canceled: ["■", "yellow"]
}

/** A line that stays on the terminal when a job is over. */
export const closing = (output: Pick<OutputShape, "colours">, live: Live, job: LiveJob): string => {
  const [mark, colour] = marks[job.status] ?? ["·", undefined]
  const words = [nameOf(live, job).padEnd(nameWidth), ...attemptWords(job), ...took(job), ...failureWords(job)].map(harmless)
  return `${painted(output, colour, mark)} ${words.join("  ")}`
}

const nameWidth = 8
const barWidth = 24
const mostJobs = 8

/** What is drawn again and again below the lines that stay. */
export const frame = (output: Pick<OutputShape, "colours" | "columns">, live: Live, now: number, waitingFor?: string): ReadonlyArray<string> => {
  const running = [...live.jobs.values()].filter((job) => job.status === "running")
  const waiting = [...live.jobs.values()].filter((job) => !isOver(job) && job.status !== "running").length
  const total = live.startedAt === undefined ? "" : `  ${span(now - live.startedAt)}`
  const rest = [...(running.length > mostJobs ? [`${running.length - mostJobs} more running`] : []), ...(waiting > 0 ? [`${waiting} to come`] : [])]
  const last = live.tail.lines.at(-1)
  return [
    ...running.slice(0, mostJobs).map((job) => jobLine(output, live, job, now)),
    painted(output, "bold", live.status) + [total, ...rest].join("  "),
    ...(waitingFor === undefined || live.ended ? [] : [painted(output, "dim", cut(`  ${harmless(waitingFor)}`, output.columns() - 1))]),
    ...(last === undefined || live.ended ? [] : [painted(output, "dim", cut(`  ${harmless(last)}`, output.columns() - 1))])
  ]
}

const jobLine = (output: Pick<OutputShape, "colours" | "columns">, live: Live, job: LiveJob, now: number) => {
  const percent = Math.min(Math.max(job.progress?.percent ?? 0, 0), 100)
  const filled = Math.round(percent / 100 * barWidth)
  const head = `${nameOf(live, job).padEnd(nameWidth)} `
  const words = [...progressWords(job), ...attemptWords(job), ...elapsed(job, now)].map(harmless).join("  ")
  const room = output.columns() - head.length - barWidth - 4
  return `  ${head}${painted(output, "cyan", "█".repeat(filled))}${painted(output, "dim", "░".repeat(barWidth - filled))} ${cut(words, room)}`
}

const cut = (text: string, width: number) => (text.length > width ? `${text.slice(0, Math.max(width - 1, 0))}…` : text)
