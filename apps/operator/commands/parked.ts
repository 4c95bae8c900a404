/** What was put aside since it could not be taken in: look at it, forget it. */
import { Effect } from "effect"
import type { ParkedView } from "../../gateway/api/operation-api.ts"
import { Kiln } from "../client.ts"
import { moment } from "../moments.ts"
import { answer } from "../output.ts"
import { table } from "../table.ts"

export const listParked = Effect.fn("listParked")(function*() {
  const items = yield* (yield* Kiln).json<ReadonlyArray<ParkedView>>("/parked")
  yield* answer(items, (output) => items.length === 0 ? ["Nothing is parked"] : table<ParkedView>(output, [
    { title: "ID", of: ({ id }) => id },
    { title: "AT", of: ({ at }) => moment(at, output.utc) },
    { title: "WHAT", of: ({ what }) => what },
    { title: "BY", of: ({ by }) => by },
    { title: "TENANT", of: ({ tenant }) => tenant ?? "" },
    { title: "WHERE", of: ({ where }) => where },
    { title: "REASON", of: ({ reason }) => reason, shrinks: true }
  ], items))
})

export const dropParked = Effect.fn("dropParked")(function*({ id }: { readonly id: string }) {
  yield* Effect.scoped((yield* Kiln).open(`/parked/${encodeURIComponent(id)}`, { method: "DELETE" }))
  yield* answer({ id, dropped: true }, () => [`${id} is forgotten`])
})
