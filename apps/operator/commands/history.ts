/** What ran, what was built, what was used, and who did what. */
import { Effect, Option } from "effect"
import type { AuditItem, HistoryItem, ImageItem, TenantItem, UsageItem, UsagePage } from "../../gateway/api/history-api.ts"
import { moment } from "../moments.ts"
import { answer, type OutputShape, paintedStatus } from "../output.ts"
import { type HowMany, pagesOf, withMore } from "../pages-of.ts"
import { readTime } from "../read-time.ts"
import { type Column, table } from "../table.ts"
import { bytes, span } from "../units.ts"

type Words = Readonly<Record<string, Option.Option<string>>>

interface ListInput extends HowMany {
  readonly since: Option.Option<string>
  readonly until: Option.Option<string>
}

/** All that was said is asked for by its own name. */
const queryOf = Effect.fnUntraced(function*(input: ListInput, words: Words) {
  const said = Object.entries(words).map(([name, value]) => [name, Option.getOrUndefined(value)] as const)
  return { ...Object.fromEntries(said), since: yield* readTime("--since", input.since), until: yield* readTime("--until", input.until) }
})

const listed = Effect.fnUntraced(function*<Item>(
  path: string, input: ListInput, words: Words, none: string, columns: (output: OutputShape) => ReadonlyArray<Column<Item>>
) {
  const { items, next } = yield* pagesOf<Item>(path, yield* queryOf(input, words), input)
  yield* answer({ items, ...(next === undefined ? {} : { next }) },
    (output) => items.length === 0 ? [none] : withMore(output, next !== undefined, table<Item>(output, columns(output), items)))
})

export const history = ({ compose, kind, status, worker, ...input }: ListInput & Record<"compose" | "kind" | "status" | "worker", Option.Option<string>>) =>
  listed<HistoryItem>("/jobs", input, { compose, kind, status, worker }, "No attempts", (output) => [
    { title: "COMPOSE", of: ({ compose }) => compose },
    { title: "JOB", of: ({ attempt, job }) => attempt === 1 ? job : `${job} (${attempt})` },
    { title: "STATUS", of: ({ status }) => status, paint: (text, { status }) => text.trim() === status ? paintedStatus(output, text) : text },
    { title: "WORKER", of: ({ worker }) => worker ?? "" },
    { title: "QUEUED", of: ({ queued_at }) => moment(queued_at, output.utc) },
    { title: "RAN", of: ({ ran_seconds }) => ran_seconds === undefined ? "" : span(ran_seconds * 1000), right: true },
    { title: "FAILURE", of: ({ failure }) => failure === undefined ? "" : `${failure.class}: ${failure.message}`, shrinks: true }
  ])

export const listImages = (
  { architecture, compose, digest, distribution, target, type, ...input }:
    ListInput & Record<"architecture" | "compose" | "digest" | "distribution" | "target" | "type", Option.Option<string>>
) =>
  listed<ImageItem>("/images", input, { architecture, compose, digest, distribution, target, type }, "No images", (output) => [
    { title: "COMPOSE", of: ({ compose }) => compose },
    { title: "IMAGE", of: ({ image }) => String(image), right: true },
    { title: "DISTRIBUTION", of: ({ distribution }) => distribution },
    { title: "TYPE", of: ({ architecture, type }) => `${type} (${architecture})` },
    { title: "SIZE", of: ({ size }) => bytes(size), right: true },
    { title: "BUILT", of: ({ built_at }) => moment(built_at, output.utc) },
    {
      title: "COPIES", shrinks: true,
      of: ({ copies }) => copies.map(({ id, place, removed_at, type }) =>
        `${type}${id === undefined ? "" : ` ${place === undefined ? "" : `${place}/`}${id}`}${removed_at === undefined ? "" : " (gone)"}`).join(", ")
    }
  ])

export const usage = Effect.fn("usage")(function*({ by, tenant, ...input }: ListInput & { readonly by: UsagePage["by"]; readonly tenant: Option.Option<string> }) {
  const query = { ...yield* queryOf(input, { tenant }), by }
  const { about, items, next } = yield* pagesOf<UsageItem, UsagePage>("/usage", query, input)
  yield* answer({ ...about, items, ...(next === undefined ? {} : { next }) }, (output) =>
    items.length === 0 ? ["Nothing was used"] : withMore(output, next !== undefined, table<UsageItem>(output, [
      ...(by === "total" ? [] : [{ title: by.toUpperCase(), of: ({ compose, day, tenant }: UsageItem) => day ?? compose ?? tenant ?? "" }]),
      { title: "ATTEMPTS", of: ({ attempts }) => String(attempts), right: true },
      { title: "BUILD MIN", of: ({ build_minutes }) => build_minutes.toFixed(1), right: true },
      { title: "TEST MIN", of: ({ test_minutes }) => test_minutes.toFixed(1), right: true },
      { title: "CPU S", of: ({ cpu_seconds }) => cpu_seconds.toFixed(1), right: true },
      { title: "STORED", of: ({ stored_bytes }) => bytes(stored_bytes), right: true },
      { title: "SENT", of: ({ sent_bytes }) => bytes(sent_bytes), right: true },
      { title: "CLOUD CALLS", of: ({ cloud_calls }) => String(cloud_calls), right: true },
      ...(about.currency === undefined ? [] : [{ title: about.currency, of: ({ cost }: UsageItem) => (cost ?? 0).toFixed(4), right: true }])
    ], items)))
})

export const audit = ({ action, actor, id, tenant, ...input }: ListInput & Record<"action" | "actor" | "id" | "tenant", Option.Option<string>>) =>
  listed<AuditItem>("/audit", input, { action, actor, id, tenant }, "Nobody did anything", (output) => [
    { title: "AT", of: ({ at }) => moment(at, output.utc) },
    { title: "WHO", of: ({ actor }) => `${actor.id} (${actor.kind})` },
    { title: "DID", of: ({ action }) => action },
    { title: "TO", of: ({ aggregate, id }) => id === "main" ? aggregate : `${aggregate} ${id}` },
    { title: "WHAT", of: ({ detail }) => detail ?? "", shrinks: true }
  ])

/** `12/100 composes in 1 day`. */
const quotaWords = ({ limit, rule, used, window }: TenantItem["rules"][number]): string =>
  rule === "stored_bytes" ? `${bytes(used)}/${bytes(limit)}`
    : `${used}/${limit} ${rule === "composes" ? `composes in ${window ?? ""}` : "running jobs"}`

export const listTenants = (input: HowMany) =>
  listed<TenantItem>("/tenants", { ...input, since: Option.none(), until: Option.none() }, {}, "No tenant has an account", (output) => [
    { title: "TENANT", of: ({ tenant }) => tenant },
    { title: "COMPOSES", of: ({ composes_reserved }) => String(composes_reserved), right: true },
    { title: "GIVEN BACK", of: ({ composes_released }) => String(composes_released), right: true },
    { title: "STORED", of: ({ stored_bytes }) => bytes(stored_bytes), right: true },
    { title: "RUNNING", of: ({ running_jobs }) => String(running_jobs), right: true },
    { title: "QUOTA", of: ({ rules }) => rules.map(quotaWords).join(", ") || "none" },
    { title: "LAST", of: ({ last_reserved_at }) => moment(last_reserved_at, output.utc) },
    { title: "POLICY", of: ({ policy, policy_set_by }) => policy === undefined ? "" : `set by ${policy_set_by ?? "?"}`, shrinks: true }
  ])
