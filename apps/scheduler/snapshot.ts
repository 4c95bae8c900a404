/** The scheduler's memory as text, so that a restart reads the log from there and not from its beginning. */
import { Schema } from "effect"
import { OpenJob } from "../../domain/scheduling/open-jobs.ts"

/** `positions`: the last sequence taken in, by stream. */
export const SchedulerSnapshot = Schema.fromJsonString(Schema.Struct({
  version: Schema.Literal(1),
  positions: Schema.Record(Schema.String, Schema.Int),
  jobs: Schema.Array(OpenJob)
}))
export type SchedulerSnapshot = typeof SchedulerSnapshot.Type

export const encodeSnapshot = Schema.encodeSync(SchedulerSnapshot)
/** Not readable, or of another version: nothing, and the log is read from its beginning. */
export const decodeSnapshot = Schema.decodeUnknownOption(SchedulerSnapshot)
