import { Effect, Option } from "effect"
import type { QuotaRule, QuotaView } from "../../gateway/api/tenants-api.ts"
import { Kiln } from "../client.ts"
import { moment } from "../moments.ts"
import { answer, type OutputShape } from "../output.ts"
import { readTime } from "../read-time.ts"
import { facts, table } from "../table.ts"
import { bytes } from "../units.ts"

export const quota = Effect.fn("quota")(function*({ asOf, tenant }: { readonly tenant: Option.Option<string>; readonly asOf: Option.Option<string> }) {
  const path = Option.match(tenant, { onNone: () => "/quota", onSome: (name) => `/tenants/${encodeURIComponent(name)}/quota` })
  const view = yield* (yield* Kiln).json<QuotaView>(path, { query: { as_of: yield* readTime("--as-of", asOf) } })
  yield* answer(view, (output) => [
    ...facts(output, [["tenant", view.tenant], ["running jobs", String(view.running_jobs)], ["stored", bytes(view.stored_bytes)]]),
    ...(view.rules.length === 0 ? ["Nothing is limited"] : ["", ...rules(output, view.rules)])
  ])
})

const rules = (output: OutputShape, all: ReadonlyArray<QuotaRule>) => {
  const amount = ({ rule }: QuotaRule, count: number) => rule === "stored_bytes" ? bytes(count) : String(count)
  return table<QuotaRule>(output, [
    { title: "RULE", of: ({ rule }) => rule.replace("_", " ") },
    { title: "WINDOW", of: ({ window }) => window ?? "" },
    { title: "USED", of: (rule) => amount(rule, rule.used), right: true },
    { title: "LIMIT", of: (rule) => amount(rule, rule.limit), right: true },
    { title: "LEFT", of: (rule) => amount(rule, rule.remaining), right: true },
    { title: "NEXT FREE", of: ({ resets_at }) => moment(resets_at, output.utc) }
  ], all)
}
