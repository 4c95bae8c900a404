/** Whose turn it is when a job fails. */
import { Schema } from "effect"

export const FailureClass = Schema.Literals([
  "user", "repository", "platform", "target-quota", "target-fault", "timeout", "canceled"
])
export type FailureClass = typeof FailureClass.Type
