/** A compose's no. */
import { Result, Schema } from "effect"
import type { ComposeEvent } from "./compose-events.ts"
import { ComposeId } from "./ids.ts"

/**
 * `NotCurrent`: the attempt is over or belongs to another worker; whoever asked should stop.
 * `Ended`: the compose has its outcome already. `NotEnded`: it has none yet. `NotFailed`: there is nothing to try again.
 * `NotDelivered`: there is no copy that could go.
 */
export class ComposeRejected extends Schema.TaggedError<ComposeRejected>()("ComposeRejected", {
  composeId: ComposeId,
  reason: Schema.Literals(["NotFound", "NotCurrent", "Ended", "NotEnded", "NotFailed", "NotDelivered"])
}) {}

// Events are written as they are: whoever stores them checks every field, and a million a day need not be checked twice.
export type Decision = Result.Result<ReadonlyArray<ComposeEvent>, ComposeRejected>

// Deliveries repeat. A command whose outcome is on the stream already adds nothing, and is no error.
export const nothing: Decision = Result.succeed([])

export const reject = (composeId: ComposeId, reason: ComposeRejected["reason"]): Decision =>
  Result.fail(new ComposeRejected({ composeId, reason }))
