import { Effect } from "effect"
import type { PoolView } from "../../gateway/api/operation-api.ts"
import { Kiln } from "../client.ts"
import { answer, type OutputShape } from "../output.ts"
import { table } from "../table.ts"
import { span } from "../units.ts"

export const pools = Effect.fn("pools")(function*() {
  const found = yield* (yield* Kiln).json<ReadonlyArray<PoolView>>("/pools")
  yield* answer(found, (output) => found.length === 0
    ? ["There is no pool: no worker has been heard of, and no job has come"]
    : people(output, found))
})

const people = (output: OutputShape, found: ReadonlyArray<PoolView>) => table(output, [
  { title: "POOL", of: ({ pool }) => pool.pool },
  { title: "WORKERS", of: ({ pool }) => String(pool.workers), right: true },
  { title: "KIND", of: ({ kind }) => kind },
  { title: "WAITING", of: ({ of }) => String(of.waiting), right: true },
  { title: "OLDEST", of: ({ of }) => of.waiting === 0 ? "" : span(of.oldest_wait_seconds * 1000), right: true },
  { title: "BUSY", of: ({ of }) => String(of.busy_slots), right: true },
  { title: "FREE", of: ({ of }) => String(of.free_slots), right: true },
  { title: "WANTED", of: ({ of }) => String(of.wanted_slots), right: true },
  { title: "MEAN", of: ({ of }) => of.mean_duration_seconds === undefined ? "" : span(of.mean_duration_seconds * 1000), right: true }
], found.flatMap((pool) => (["resolve", "build", "test", "upload"] as const).flatMap((kind) => {
  const of = pool.kinds[kind]
  return of === undefined ? [] : [{ pool, kind, of }]
})))
