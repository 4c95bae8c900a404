/** What crashes left behind in clouds: looks, removes what was found before too, and says what became of each thing. */
import { Effect, Option, Schedule } from "effect"
import type { LeftoverView, ReaperView } from "../../gateway/api/reaper-api.ts"
import { Kiln } from "../client.ts"
import { confirmed } from "../confirm.ts"
import { moment } from "../moments.ts"
import { answer, type OutputShape } from "../output.ts"
import { table } from "../table.ts"

interface ReaperInput {
  readonly dryRun: boolean
  readonly yes: boolean
  readonly tenant: Option.Option<string>
}

export const reaper = Effect.fn("reaper")(function*({ dryRun, tenant, yes }: ReaperInput) {
  if (!dryRun) yield* confirmed("removes from clouds what nobody owns and was found before", yes)
  const kiln = yield* Kiln
  yield* kiln.json<ReaperView>("/reaper", { method: "POST", body: JSON.stringify({ dry_run: dryRun, ...(Option.isSome(tenant) && { tenant: tenant.value }) }) })
  const seen = yield* kiln.json<ReaperView>("/reaper").pipe(Effect.repeat({ until: ({ running }) => !running, schedule: Schedule.spaced("250 millis") }))
  yield* answer(seen, (output) => [...leftovers(output, seen), ...unseen(seen), summary(seen)])
})

const words: Readonly<Record<LeftoverView["status"], string>> = {
  noted: "found for the first time", waiting: "found before, not long ago", due: "would be removed", removed: "removed",
  failed: "could not be removed", unknown: "of no compose here, stays"
}

const leftovers = (output: OutputShape, { leftovers, more }: ReaperView) => leftovers.length === 0 ? [] : [
  ...table<LeftoverView>(output, [
    { title: "TENANT", of: ({ tenant }) => tenant },
    { title: "COMPOSE", of: ({ compose }) => compose },
    { title: "JOB", of: ({ job }) => job },
    { title: "THING", of: ({ resource: { id, kind, place }, type }) => `${type} ${kind} ${id}${place === undefined ? "" : ` in ${place}`}` },
    { title: "FOUND", of: ({ noted_at }) => noted_at === undefined ? "" : moment(noted_at, output.utc) },
    { title: "STATUS", of: ({ problem, status }) => problem === undefined ? words[status] : `${words[status]}: ${problem}` }
  ], leftovers),
  ...(more > 0 ? [`and ${more} more`] : [])
]

const unseen = ({ places }: ReaperView) => places.flatMap(({ place, problem, tenant, type }) => problem === undefined ? [] : [`not looked at: ${type} ${place} of ${tenant}: ${problem}`])

const summary = ({ leftovers, places }: ReaperView) => {
  const looked = places.filter(({ problem }) => problem === undefined).length
  return `${leftovers.length === 0 ? "Nothing is left behind" : "That is what nobody owns"} in ${looked} of ${places.length} places`
}
