import { Effect, Option } from "effect"
import type { DiscardView, WorkerView } from "../../gateway/api/operation-api.ts"
import { Kiln } from "../client.ts"
import { confirmed } from "../confirm.ts"
import { moment } from "../moments.ts"
import { answer, type OutputShape, paintedStatus } from "../output.ts"
import { table } from "../table.ts"
import { between } from "../units.ts"

export interface WorkersInput {
  readonly name: Option.Option<string>
  readonly pool: Option.Option<string>
}

const kinds = ["resolve", "build", "test", "upload"] as const

export const workers = Effect.fn("workers")(function*({ name, pool }: WorkersInput) {
  const query = { name: Option.getOrUndefined(name), pool: Option.getOrUndefined(pool) }
  const found = yield* (yield* Kiln).json<ReadonlyArray<WorkerView>>("/workers", { query })
  yield* answer(found, (output) => found.length === 0 ? ["No worker has been heard of"] : [
    ...workerTable(output, found),
    ...found.some(({ jobs }) => jobs.length > 0) ? ["", ...jobTable(output, found)] : []
  ])
})

interface DiscardInput {
  readonly yes: boolean
  readonly worker: string
  readonly digest: string
}

export const discard = Effect.fn("discard")(function*({ digest, worker, yes }: DiscardInput) {
  yield* confirmed(`removes ${digest} from ${worker}`, yes)
  const path = `/workers/${encodeURIComponent(worker)}/images/${encodeURIComponent(digest)}`
  const asked = yield* (yield* Kiln).json<DiscardView>(path, { method: "DELETE" })
  yield* answer(asked, () => [`${worker} was told to remove ${digest}`])
})

const workerTable = (output: OutputShape, found: ReadonlyArray<WorkerView>) => table<WorkerView>(output, [
  { title: "WORKER", of: ({ worker }) => worker },
  { title: "POOLS", of: ({ pools }) => pools.join(" ") },
  { title: "STATE", of: ({ state }) => state, paint: (text) => paintedStatus(output, text) },
  ...kinds.map((kind) => ({
    title: kind.toUpperCase(), right: true, of: ({ busy, slots }: WorkerView) => `${busy[kind] ?? 0}/${slots === undefined ? "?" : slots[kind] ?? 0}`
  })),
  { title: "HELD", of: ({ held_images }) => String(held_images), right: true },
  { title: "SINCE", of: ({ session_since }) => moment(session_since, output.utc) },
  { title: "HEARD", of: ({ heard_at }) => heard_at === undefined ? "never" : `${between(heard_at, new Date().toISOString())} ago` },
  { title: "DOES", of: abilities, shrinks: true }
], found)

const abilities = ({ architectures = [], distributions, image_types, labels = {} }: WorkerView) =>
  [...architectures, ...distributions ?? [], ...image_types ?? [], ...Object.entries(labels).map(([key, value]) => `${key}=${value}`)].join(" ")

const jobTable = (output: OutputShape, found: ReadonlyArray<WorkerView>) => table(output, [
  { title: "WORKER", of: ({ worker }) => worker },
  { title: "TENANT", of: ({ job }) => job.tenant },
  { title: "COMPOSE", of: ({ job }) => job.compose },
  { title: "JOB", of: ({ job }) => job.job },
  { title: "ATTEMPT", of: ({ job }) => String(job.attempt), right: true },
  { title: "STATE", of: ({ job }) => job.state, paint: (text) => paintedStatus(output, text) },
  { title: "SINCE", of: ({ job }) => moment(job.since, output.utc) }
], found.flatMap(({ jobs, worker }) => jobs.map((job) => ({ worker, job }))))
