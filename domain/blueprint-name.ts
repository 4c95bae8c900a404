/** One name of a tenant's blueprints: who has it. Each name is an aggregate of its own, so that two can never have the same. */
import { Result, Schema } from "effect"
import { BlueprintName } from "./blueprint.ts"
import type { Decider } from "./decider.ts"
import { BlueprintId } from "./ids.ts"

// Stored for good: cases and optional fields may be added here, nothing renamed or removed.
export const BlueprintNameEvent = Schema.TaggedUnion({
  /** Comes before the blueprint is created, or is given that name. */
  BlueprintNameClaimed: { name: BlueprintName, blueprintId: BlueprintId },
  BlueprintNameReleased: { blueprintId: BlueprintId }
})
export type BlueprintNameEvent = typeof BlueprintNameEvent.Type
export const { BlueprintNameClaimed, BlueprintNameReleased } = BlueprintNameEvent.cases

export const BlueprintNameCommand = Schema.TaggedUnion({
  /** `unusedBy`: who is known not to go by that name, whatever was claimed for it. */
  ClaimBlueprintName: { name: BlueprintName, blueprintId: BlueprintId, unusedBy: Schema.optionalKey(BlueprintId) },
  ReleaseBlueprintName: { blueprintId: BlueprintId }
})
export type BlueprintNameCommand = typeof BlueprintNameCommand.Type
export const { ClaimBlueprintName, ReleaseBlueprintName } = BlueprintNameCommand.cases

export class BlueprintNameTaken extends Schema.TaggedError<BlueprintNameTaken>()("BlueprintNameTaken", { by: BlueprintId }) {}

export interface NameHolder {
  readonly holder: BlueprintId | undefined
}

const evolve = (_: NameHolder, event: BlueprintNameEvent): NameHolder =>
  ({ holder: event._tag === "BlueprintNameClaimed" ? event.blueprintId : undefined })

type Decision = Result.Result<ReadonlyArray<BlueprintNameEvent>, BlueprintNameTaken>

const decide = (command: BlueprintNameCommand, { holder }: NameHolder): Decision => {
  const { blueprintId } = command
  if (command._tag === "ReleaseBlueprintName") return Result.succeed(holder === blueprintId ? [BlueprintNameReleased.make({ blueprintId })] : [])
  if (holder === blueprintId) return Result.succeed([])
  if (holder !== undefined && holder !== command.unusedBy) return Result.fail(new BlueprintNameTaken({ by: holder }))
  return Result.succeed([BlueprintNameClaimed.make({ name: command.name, blueprintId })])
}

export const BlueprintNameDecider: Decider<NameHolder, BlueprintNameEvent, BlueprintNameCommand, BlueprintNameTaken> = {
  initial: { holder: undefined }, evolve, decide
}
