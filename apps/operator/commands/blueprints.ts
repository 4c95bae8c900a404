/** Blueprints: kept from files, compared, built. */
import { Effect, Option } from "effect"
import { stringify } from "yaml"
import type {
  BlueprintDifferences, BlueprintItem, BlueprintVersionItem, BlueprintView
} from "../../gateway/api/blueprints-api.ts"
import type { ComposeAccepted } from "../../gateway/api/compose-views.ts"
import { idOf, itemNamed } from "../blueprint-named.ts"
import { Kiln } from "../client.ts"
import { commandFailed } from "../command-failed.ts"
import { confirmed } from "../confirm.ts"
import { differenceLines } from "../places-changed.ts"
import { withLocalFiles } from "../local-files.ts"
import { moment } from "../moments.ts"
import { answer, harmless, Output, type OutputShape, painted, print } from "../output.ts"
import { type HowMany, pagesOf, withMore } from "../pages-of.ts"
import { readTime } from "../read-time.ts"
import { readRequest } from "../request-file.ts"
import { table } from "../table.ts"
import { watchAccepted, type Watching } from "../watch-accepted.ts"

interface Named {
  readonly name: string
}

type ListInput = HowMany & Record<"distribution" | "search" | "since" | "until", Option.Option<string>>

const at = (name: string, action = "") => Effect.map(idOf(name), (id) => `/blueprints/${id}${action}`)

export const listBlueprints = Effect.fn("listBlueprints")(function*({ distribution, search, since, until, ...many }: ListInput) {
  const query = {
    distribution: Option.getOrUndefined(distribution), search: Option.getOrUndefined(search),
    since: yield* readTime("--since", since), until: yield* readTime("--until", until)
  }
  const { items, next } = yield* pagesOf<BlueprintItem>("/blueprints", query, many)
  yield* answer({ items, ...(next === undefined ? {} : { next }) }, (output) =>
    items.length === 0 ? ["There are none"] : withMore(output, next !== undefined, table<BlueprintItem>(output, [
      { title: "NAME", of: ({ name }) => name },
      { title: "VERSION", of: ({ version }) => String(version), right: true },
      { title: "DISTRIBUTION", of: ({ distribution }) => distribution },
      { title: "IMAGES", of: ({ images }) => String(images), right: true },
      { title: "CHANGED", of: ({ changed_at }) => moment(changed_at, output.utc) },
      { title: "BY", of: ({ changed_by }) => changed_by },
      { title: "DESCRIPTION", of: ({ description }) => description ?? "", shrinks: true }
    ], items)))
})

/** What people see can be kept as a file, changed and applied: masks of secrets mean the secrets that are there. */
export const showBlueprint = Effect.fn("showBlueprint")(function*({ name, version }: Named & { readonly version: Option.Option<number> }) {
  const view = yield* (yield* Kiln).json<BlueprintView>(yield* at(name), { query: { version: Option.getOrUndefined(version) } })
  yield* answer(view, (output) => [
    painted(output, "dim", `# version ${view.version} of ${view.latest}, changed ${moment(view.changed_at, output.utc)} by ${harmless(view.changed_by)}; ${view.id}`),
    ...stringify({ name: view.name, ...(view.description !== undefined && { description: view.description }), request: view.request }, { lineWidth: 0 })
      .trimEnd().split("\n").map(harmless)
  ])
})

interface ApplyInput {
  readonly file: string
  readonly dryRun: boolean
  readonly yes: boolean
}

interface Document extends Record<string, unknown> {
  readonly name: string
}

const documentIn = Effect.fnUntraced(function*(file: string) {
  const document = JSON.parse(yield* readRequest(file)) as Record<string, unknown> | null
  if (typeof document?.["name"] !== "string") return yield* commandFailed("invalid", `${file} has no name, which a blueprint needs beside its request`)
  const named = document as Document
  if (typeof named["request"] !== "object" || named["request"] === null) return named
  return { ...named, request: JSON.parse(yield* withLocalFiles(JSON.stringify(named["request"]), file)) as unknown }
})

export const applyBlueprint = Effect.fn("applyBlueprint")(function*({ dryRun, file, yes }: ApplyInput) {
  const document = yield* documentIn(file)
  const known = yield* itemNamed(document.name)
  const kiln = yield* Kiln
  const body = JSON.stringify(document)
  const send = (dry_run: "true" | "false") => known === undefined
    ? kiln.json<BlueprintView>("/blueprints", { method: "POST", query: { dry_run }, body })
    // From what was shown: whatever has changed since is refused.
    : kiln.json<BlueprintView>(`/blueprints/${known.id}`, { method: "PUT", query: { dry_run }, body, headers: { "if-match": String(known.version) } })
  const planned = yield* send("true")
  const differences = planned.differences ?? []
  const result = known === undefined ? "created" : differences.length === 0 ? "same" : "changed"
  const { json } = yield* Output
  if (!json) yield* print(...plannedWords(planned, result))
  if (dryRun || result === "same") return json ? yield* answer({ result, dry_run: dryRun, ...planned }, () => []) : undefined
  yield* confirmed(known === undefined ? `creates the blueprint ${document.name}` : `changes the blueprint ${document.name}`, yes)
  const applied = yield* send("false")
  yield* answer({ result, dry_run: false, ...applied }, () => [`${applied.name} has version ${applied.version} now`])
})

const plannedWords = ({ differences = [], name, version }: BlueprintView, result: "created" | "changed" | "same"): ReadonlyArray<string> =>
  result === "same" ? [`${name}: no difference to version ${version}`]
    : [`${name}: to be ${result}, with version ${version}`, ...differenceLines(differences).map(harmless)]

export const blueprintVersions = Effect.fn("blueprintVersions")(function*({ name, ...many }: Named & HowMany) {
  const { items, next } = yield* pagesOf<BlueprintVersionItem>(yield* at(name, "/versions"), {}, many)
  yield* answer({ items, ...(next === undefined ? {} : { next }) }, (output) =>
    withMore(output, next !== undefined, versionRows(output, items)))
})

const versionRows = (output: OutputShape, items: ReadonlyArray<BlueprintVersionItem>) => table<BlueprintVersionItem>(output, [
  { title: "VERSION", of: ({ version }) => String(version), right: true },
  { title: "AT", of: ({ at }) => moment(at, output.utc) },
  { title: "BY", of: ({ by }) => by },
  { title: "DISTRIBUTION", of: ({ distribution }) => distribution },
  { title: "IMAGES", of: ({ images }) => String(images), right: true }
], items)

export const diffBlueprint = Effect.fn("diffBlueprint")(function*({ from, name, to }: Named & Record<"from" | "to", Option.Option<number>>) {
  const query = { from: Option.getOrUndefined(from), to: Option.getOrUndefined(to) }
  const found = yield* (yield* Kiln).json<BlueprintDifferences>(yield* at(name, "/differences"), { query })
  yield* answer(found, () => found.differences.length === 0
    ? [`Versions ${found.from} and ${found.to} are the same`]
    : [`From version ${found.from} to ${found.to}:`, ...differenceLines(found.differences).map(harmless)])
})

interface BuildInput extends Named, Watching {
  readonly version: Option.Option<number>
  readonly type: ReadonlyArray<string>
  readonly idempotencyKey: Option.Option<string>
}

export const buildBlueprint = Effect.fn("buildBlueprint")(function*({ detach, download, idempotencyKey, name, type, version }: BuildInput) {
  const accepted = yield* (yield* Kiln).json<ComposeAccepted>(yield* at(name, "/composes"), {
    method: "POST",
    body: JSON.stringify({ ...(Option.isSome(version) && { version: version.value }), ...(type.length > 0 && { image_types: type }) }),
    headers: Option.match(idempotencyKey, { onNone: () => ({}), onSome: (key) => ({ "idempotency-key": key }) })
  })
  yield* watchAccepted(accepted, { detach, download })
})

export const deleteBlueprint = Effect.fn("deleteBlueprint")(function*({ name, yes }: Named & { readonly yes: boolean }) {
  const path = yield* at(name)
  yield* confirmed(`deletes the blueprint ${name} with all its versions`, yes)
  yield* Effect.scoped((yield* Kiln).open(path, { method: "DELETE" }))
  yield* answer({ deleted: name }, () => [`${name} is deleted; what was built from it stays`])
})
