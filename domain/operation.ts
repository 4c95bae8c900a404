/** What somebody has done to an installation as such: to what was parked, to read models, to images, to the log as a whole. */
import { Result, Schema } from "effect"
import type { Decider } from "./decider.ts"
import { matching, storable } from "./text.ts"

export const OperationName = matching(/^[a-z][a-z-]{0,39}$/u, "the name of an operation, such as parked-drop")

// Stored for good: cases and optional fields may be added here, nothing renamed or removed.
export const OperationEvent = Schema.TaggedUnion({
  /** On record before anything is done, so that no crash leaves it unsaid. `on`: what it is done to, for people. */
  OperationBegun: { operation: OperationName, on: Schema.String },
  /** `result`: what came of it, for people. */
  OperationSucceeded: { result: Schema.optionalKey(Schema.String) },
  OperationFailed: { reason: Schema.String }
})
export type OperationEvent = typeof OperationEvent.Type
export const { OperationBegun, OperationSucceeded, OperationFailed } = OperationEvent.cases

const words = storable(1000)

export const OperationCommand = Schema.TaggedUnion({
  BeginOperation: { operation: OperationName, on: words },
  EndOperation: { result: Schema.optionalKey(words), failure: Schema.optionalKey(words) }
})
export type OperationCommand = typeof OperationCommand.Type
export const { BeginOperation, EndOperation } = OperationCommand.cases

export class OperationRejected extends Schema.TaggedError<OperationRejected>()("OperationRejected", {
  reason: Schema.Literals(["NotBegun"])
}) {}

export type Operation = "absent" | "open" | "ended"

const evolve = (_: Operation, event: OperationEvent): Operation => event._tag === "OperationBegun" ? "open" : "ended"

type Decision = Result.Result<ReadonlyArray<OperationEvent>, OperationRejected>
const nothing: Decision = Result.succeed([])

const decide = (command: OperationCommand, operation: Operation): Decision => {
  if (command._tag === "BeginOperation") {
    const { _tag, ...begun } = command
    return operation === "absent" ? Result.succeed([OperationBegun.make(begun)]) : nothing
  }
  if (operation === "absent") return Result.fail(new OperationRejected({ reason: "NotBegun" }))
  if (operation === "ended") return nothing
  const { failure, result } = command
  return Result.succeed([failure === undefined
    ? OperationSucceeded.make({ ...(result !== undefined && { result }) })
    : OperationFailed.make({ reason: failure })])
}

export const OperationDecider: Decider<Operation, OperationEvent, OperationCommand, OperationRejected> = { initial: "absent", evolve, decide }
