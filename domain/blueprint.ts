/** A blueprint: a compose request that is kept under a name, in versions; composes are made from one of them. */
import { Result, Schema } from "effect"
import { SealedComposeRequest } from "./compose-request.ts"
import type { Decider } from "./decider.ts"
import { BlueprintId } from "./ids.ts"
import { canonical } from "./manifest.ts"
import { matching, storable } from "./text.ts"

export const BlueprintName = matching(/^(?=.*\S)[^\u0000-\u001f\u007f\ud800-\udfff]+$/u, "one line of text that is not blank").check(Schema.isMaxLength(100))
export const BlueprintDescription = storable(250)
/** The first is 1. */
export const BlueprintVersion = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 999_999 }))

/** Which version of which blueprint a compose was made from. */
export const FromBlueprint = Schema.Struct({ id: BlueprintId, version: Schema.Int })
export type FromBlueprint = typeof FromBlueprint.Type

const one = { blueprintId: BlueprintId }
const called = { name: BlueprintName, description: Schema.optionalKey(BlueprintDescription) }

// Stored for good: cases and optional fields may be added here, nothing renamed or removed.
export const BlueprintEvent = Schema.TaggedUnion({
  /** Its first version. */
  BlueprintCreated: { ...one, ...called, request: SealedComposeRequest },
  /** A new version, whole. */
  BlueprintChanged: { ...one, version: Schema.Int, request: SealedComposeRequest },
  /** Name and description are the blueprint's, whatever its version. */
  BlueprintDescribed: { ...one, ...called },
  /** With all its versions; what was made from them stays. */
  BlueprintDeleted: one
})
export type BlueprintEvent = typeof BlueprintEvent.Type
export const { BlueprintCreated, BlueprintChanged, BlueprintDescribed, BlueprintDeleted } = BlueprintEvent.cases

export const BlueprintCommand = Schema.TaggedUnion({
  CreateBlueprint: { ...one, ...called, request: SealedComposeRequest },
  /** All of it as it shall be. `onlyAfter`: unless there is a later version. */
  ChangeBlueprint: { ...one, ...called, request: SealedComposeRequest, onlyAfter: Schema.optionalKey(Schema.Int) },
  DeleteBlueprint: one
})
export type BlueprintCommand = typeof BlueprintCommand.Type
export const { CreateBlueprint, ChangeBlueprint, DeleteBlueprint } = BlueprintCommand.cases

/** `Changed`: it has another version than it was thought to have, which is `version`. */
export class BlueprintRejected extends Schema.TaggedError<BlueprintRejected>()("BlueprintRejected", {
  reason: Schema.Literals(["NotFound", "Changed", "TooMany"]),
  version: Schema.Int
}) {}

/** All of them are read to know one. */
export const mostVersions = 1000

export interface Blueprint {
  readonly status: "absent" | "live" | "deleted"
  readonly name: string
  readonly description: string | undefined
  /** The latest, and what it asks for. */
  readonly version: number
  readonly request: SealedComposeRequest | undefined
}

const initial: Blueprint = { status: "absent", name: "", description: undefined, version: 0, request: undefined }

const evolve = (blueprint: Blueprint, event: BlueprintEvent): Blueprint => {
  switch (event._tag) {
    case "BlueprintCreated":
      return { status: "live", name: event.name, description: event.description, version: 1, request: event.request }
    case "BlueprintChanged":
      return { ...blueprint, version: event.version, request: event.request }
    case "BlueprintDescribed":
      return { ...blueprint, name: event.name, description: event.description }
    case "BlueprintDeleted":
      return { ...blueprint, status: "deleted" }
  }
}

type Decision = Result.Result<ReadonlyArray<BlueprintEvent>, BlueprintRejected>
const nothing: Decision = Result.succeed([])
const reject = (reason: BlueprintRejected["reason"], { version }: Blueprint): Decision => Result.fail(new BlueprintRejected({ reason, version }))

const decide = (command: BlueprintCommand, blueprint: Blueprint): Decision => {
  switch (command._tag) {
    case "CreateBlueprint": {
      const { _tag, ...created } = command
      return blueprint.status === "absent" ? Result.succeed([BlueprintCreated.make(created)]) : blueprint.status === "live" ? nothing : reject("NotFound", blueprint)
    }
    case "ChangeBlueprint":
      return blueprint.status === "live" ? change(command, blueprint) : reject("NotFound", blueprint)
    case "DeleteBlueprint":
      return blueprint.status === "live" ? Result.succeed([BlueprintDeleted.make({ blueprintId: command.blueprintId })]) : reject("NotFound", blueprint)
  }
}

export const BlueprintDecider: Decider<Blueprint, BlueprintEvent, BlueprintCommand, BlueprintRejected> = { initial, evolve, decide }

/** What is as it was makes no version. */
const change = ({ blueprintId, description, name, onlyAfter, request }: typeof ChangeBlueprint.Type, blueprint: Blueprint): Decision => {
  if (onlyAfter !== undefined && onlyAfter !== blueprint.version) return reject("Changed", blueprint)
  const called = { blueprintId, name, ...(description !== undefined && { description }) }
  const described = name === blueprint.name && description === blueprint.description ? [] : [BlueprintDescribed.make(called)]
  if (isSame(request, blueprint.request)) return Result.succeed(described)
  if (blueprint.version >= mostVersions) return reject("TooMany", blueprint)
  return Result.succeed([...described, BlueprintChanged.make({ blueprintId, version: blueprint.version + 1, request })])
}

/** A secret that was sealed anew is the same, unless the old one's key may be lost. */
const isSame = (one: SealedComposeRequest, other: SealedComposeRequest | undefined): boolean =>
  other !== undefined && canonical(one) === canonical(other) && keysOf(one) === keysOf(other)

const keysOf = ({ customizations }: SealedComposeRequest): string => (customizations?.users ?? []).map(({ password }) => password?.keyId ?? "").join("\n")
