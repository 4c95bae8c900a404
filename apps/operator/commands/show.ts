import { Effect, type Option } from "effect"
import type { AttemptView, ComposeDetails, CopyView, JobView, ProgressView } from "../../gateway/api/compose-views.ts"
import { Kiln } from "../client.ts"
import { moment } from "../moments.ts"
import { answer, harmless, type OutputShape, painted, paintedStatus } from "../output.ts"
import { readTime } from "../read-time.ts"
import { facts, table } from "../table.ts"
import { between, bytes, rate } from "../units.ts"
import { verificationLines } from "../verification-words.ts"

export const show = Effect.fn("show")(function*({ asOf, id }: { readonly id: string; readonly asOf: Option.Option<string> }) {
  const query = { as_of: yield* readTime("--as-of", asOf) }
  const compose = yield* (yield* Kiln).json<ComposeDetails>(`/composes/${id}`, { query })
  yield* answer(compose, (output) => people(output, compose))
})

export const people = (output: OutputShape, compose: ComposeDetails): ReadonlyArray<string> => [
  ...facts(output, [
    ["Compose", compose.id],
    ["Status", paintedStatus(output, compose.status)],
    ["Name", compose.name === undefined ? undefined : harmless(compose.name)],
    ["Labels", Object.entries(compose.labels).map(([key, value]) => harmless(`${key}=${value}`)).join("  ")],
    ["Distribution", compose.distribution],
    ["Requested", `${moment(compose.requested_at, output.utc)} by ${harmless(compose.requested_by)}`],
    ["Started", moment(compose.started_at, output.utc)],
    ["Ended", compose.ended_at === undefined ? undefined
      : `${moment(compose.ended_at, output.utc)}, after ${between(compose.requested_at, compose.ended_at)}`]
  ]),
  ...failureLines(output, compose),
  ...(compose.verifies === undefined ? [] : ["", ...verificationLines(output, compose.verifies)]),
  "",
  ...table(output, [
    { title: "IMAGE", of: ({ at }) => String(at), right: true },
    { title: "TYPE", of: ({ image }) => image.type },
    { title: "ARCH", of: ({ image }) => image.architecture },
    { title: "STATUS", of: ({ image }) => image.status, paint: (text) => paintedStatus(output, text) },
    { title: "TARGET", of: ({ target }) => target?.type ?? "" },
    { title: "FILE", of: ({ target }) => target?.copy === undefined ? target?.artifact?.filename ?? "" : copyWords(target.copy) },
    { title: "SIZE", of: ({ target }) => target?.artifact === undefined ? "" : bytes(target.artifact.size), right: true }
  ], compose.images.flatMap((image, at) => image.targets.map((target) => ({ at, image, target })))),
  "",
  ...table(output, [
    { title: "JOB", of: ({ job }) => job.id },
    { title: "STATUS", of: ({ attempt, job }) => attempt?.status ?? job.status, paint: (text) => paintedStatus(output, text) },
    { title: "ATTEMPT", of: ({ attempt }) => attempt === undefined ? "" : String(attempt.attempt), right: true },
    { title: "WORKER", of: ({ attempt }) => attempt?.worker ?? "" },
    { title: "STARTED", of: ({ attempt }) => moment(attempt?.started_at, output.utc) },
    { title: "TOOK", of: ({ attempt }) => between(attempt?.started_at, attempt?.ended_at), right: true },
    { title: "NOTE", of: ({ attempt, job }) => note(output, compose, job, attempt), shrinks: true }
  ], compose.jobs.flatMap((job): ReadonlyArray<{ job: JobView; attempt: AttemptView | undefined }> =>
    job.attempts.length === 0 ? [{ job, attempt: undefined }] : job.attempts.map((attempt) => ({ job, attempt }))
  ))
]

/** `ami-0123456789 in eu-central-1`. */
const copyWords = ({ id, place, url }: CopyView) => harmless(url ?? (place === undefined ? id : `${id} in ${place}`))

const failureLines = (output: OutputShape, { failure }: ComposeDetails) => {
  if (failure === undefined) return []
  const excerpt = (failure.excerpt ?? "").split("\n").filter((line) => line !== "")
  return [
    ...facts(output, [["Failure     ", painted(output, "red", `${failure.class}: ${harmless(failure.message)}`)]]),
    ...excerpt.map((line) => painted(output, "dim", `  | ${harmless(line)}`))
  ]
}

/** `uefi ready after 21.5 s, bios ready after 18.0 s`. */
const verdictOf = ({ images }: ComposeDetails, { image, kind, status }: JobView): string | undefined => {
  const test = kind === "test" && status === "succeeded" ? images[image]?.test : undefined
  if (test === undefined) return undefined
  const boots = (test.boots ?? []).map(({ firmware, ready_seconds }) => `${firmware} ready after ${ready_seconds?.toFixed(1)} s`)
  return [...boots, ...(test.reason === undefined ? [] : [`${test.verdict === "skipped" ? "skipped" : "in part"}: ${test.reason}`])].join(", ")
}

/** `upload 42 %, 120 MiB of 340 MiB, 11 MiB/s`. */
const progressWords = ({ bytes_done: done, bytes_per_second: speed, bytes_total: total, percent, stage }: ProgressView) => [
  `${harmless(stage)} ${Math.floor(percent)} %`,
  ...(done === undefined ? [] : [total === undefined ? bytes(done) : `${bytes(done)} of ${bytes(total)}`]),
  ...(speed === undefined ? [] : [rate(speed)])
].join(", ")

const note = ({ utc }: OutputShape, compose: ComposeDetails, job: JobView, attempt: AttemptView | undefined) => {
  const moving = attempt?.status === "running" ? compose.images[job.image]?.targets.find((target) => target.job === job.id)?.progress : undefined
  if (moving !== undefined) return progressWords(moving)
  if (attempt?.failure !== undefined) return `${attempt.failure.class}: ${attempt.failure.message}`
  const verdict = verdictOf(compose, job)
  if (verdict !== undefined && attempt?.status === "succeeded") return harmless(verdict)
  const { job: other, message, reason, until } = job.waiting_for ?? {}
  if (message !== undefined) return message
  if (reason === "job") return `waits for ${other ?? "another job"}`
  if (reason === "worker") return "waits for a worker"
  return reason === "retry" ? `tries again at ${moment(until, utc)}` : ""
}
