/** Blueprints as the log has them, and the order in which a name and its blueprint are written. */
import { createHash } from "node:crypto"
import { Effect } from "effect"
import { type Blueprint, BlueprintDecider, ChangeBlueprint, CreateBlueprint, DeleteBlueprint } from "../domain/blueprint.ts"
import { BlueprintNameDecider, BlueprintNameTaken, ClaimBlueprintName, ReleaseBlueprintName } from "../domain/blueprint-name.ts"
import type { BlueprintId, TenantId } from "../domain/ids.ts"
import { blueprintNameRef, blueprintRef, type Recorded } from "../domain/recorded.ts"
import type { Intent } from "./execute.ts"
import { executeOn, readWith } from "./execute-on.ts"

export const readBlueprint = (tenantId: TenantId, id: BlueprintId) => readWith(BlueprintDecider, blueprintRef(tenantId, id))

/** Any text can be a name, but not an address. */
const nameRef = (tenantId: TenantId, name: string) =>
  blueprintNameRef(tenantId, createHash("sha256").update(name).digest("hex").slice(0, 40))

const goesBy = ({ name, status }: Blueprint, wanted: string) => status === "live" && name === wanted

/** Who goes by a name, if anybody does. */
export const blueprintNamed = Effect.fnUntraced(function*(tenantId: TenantId, name: string) {
  const { state: { holder } } = yield* readWith(BlueprintNameDecider, nameRef(tenantId, name))
  if (holder === undefined) return undefined
  const { state } = yield* readBlueprint(tenantId, holder)
  return goesBy(state, name) ? holder : undefined
})

/** Once claimed, a name is taken by its blueprint within moments, or never will be. */
const claimLastsMs = 60_000

/** A name whose blueprint was never made, has another by now, or is deleted, is free. */
const claim = Effect.fnUntraced(function*(intent: Intent, name: string, blueprintId: BlueprintId) {
  const ref = nameRef(intent.tenantId, name)
  const ask = (unusedBy?: BlueprintId) => executeOn(BlueprintNameDecider, ref, { ...intent, messageId: `claim-${unusedBy ?? ""}-${intent.messageId}` },
    ClaimBlueprintName.make({ name, blueprintId, ...(unusedBy !== undefined && { unusedBy }) }))
  const taken = Effect.fnUntraced(function*(refusal: BlueprintNameTaken) {
    const { recorded } = yield* readWith(BlueprintNameDecider, ref)
    const { state } = yield* readBlueprint(intent.tenantId, refusal.by)
    const isFree = state.status === "deleted" || (!goesBy(state, name) && (recorded.at(-1)?.at ?? 0) < intent.at - claimLastsMs)
    return isFree ? yield* ask(refusal.by) : yield* refusal
  })
  yield* Effect.catchTag(ask(), "BlueprintNameTaken", taken)
})

const release = (intent: Intent, name: string, blueprintId: BlueprintId) =>
  executeOn(BlueprintNameDecider, nameRef(intent.tenantId, name), { ...intent, messageId: `release-${intent.messageId}` }, ReleaseBlueprintName.make({ blueprintId })).pipe(
    // The next who wants it sees that nobody goes by it.
    Effect.catch((error) => Effect.logWarning(`the name of blueprint ${blueprintId} is still held`, error._tag)))

const executeOnBlueprint = (intent: Intent, command: typeof CreateBlueprint.Type | typeof ChangeBlueprint.Type | typeof DeleteBlueprint.Type) =>
  executeOn(BlueprintDecider, blueprintRef(intent.tenantId, command.blueprintId), intent, command)

/** What a change would come to, without making it: its history as it would be then. */
export const blueprintAfter = Effect.fnUntraced(function*(intent: Intent, command: typeof CreateBlueprint.Type | typeof ChangeBlueprint.Type) {
  const { recorded, revision, state } = yield* readBlueprint(intent.tenantId, command.blueprintId)
  const taken = state.name === command.name ? undefined : yield* blueprintNamed(intent.tenantId, command.name)
  if (taken !== undefined) return yield* new BlueprintNameTaken({ by: taken })
  const [first, ...others] = yield* Effect.fromResult(BlueprintDecider.decide(command, state))
  if (first === undefined) return recorded
  const { actor, at, messageId } = intent
  const next: Recorded<"blueprint"> = {
    _tag: "Recorded", ...blueprintRef(intent.tenantId, command.blueprintId), messageId, at, actor, events: [first, ...others],
    revision: revision + 1, position: { stream: "", sequence: 0 }
  }
  return [...recorded, next]
})

/** The name first: a claim that is left behind costs nothing, a second blueprint of one name would. */
export const createBlueprint = (intent: Intent, command: typeof CreateBlueprint.Type) =>
  Effect.uninterruptible(Effect.andThen(claim(intent, command.name, command.blueprintId), executeOnBlueprint(intent, command)))

export const changeBlueprint = (intent: Intent, command: typeof ChangeBlueprint.Type) =>
  Effect.uninterruptible(Effect.gen(function*() {
    const { state: before } = yield* readBlueprint(intent.tenantId, command.blueprintId)
    // Refused before any name is touched.
    yield* Effect.fromResult(BlueprintDecider.decide(command, before))
    const renamed = before.name !== command.name
    if (renamed) yield* claim(intent, command.name, command.blueprintId)
    const after = yield* executeOnBlueprint(intent, command)
    if (renamed) yield* release(intent, before.name, command.blueprintId)
    return after
  }))

export const deleteBlueprint = (intent: Intent, blueprintId: BlueprintId) =>
  Effect.uninterruptible(Effect.gen(function*() {
    const { name } = yield* executeOnBlueprint(intent, DeleteBlueprint.make({ blueprintId }))
    yield* release(intent, name, blueprintId)
  }))
