import { Schema } from "effect"

/** Why Kiln does not start, in one sentence for people. */
export class StartFailed extends Schema.TaggedError<StartFailed>()("StartFailed", { message: Schema.String }) {}

export const startFailed = (message: string) => new StartFailed({ message })
