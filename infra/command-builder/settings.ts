import { Schema } from "effect"
import { CustomizationKey } from "../builders/customization-key.ts"
import { AbsolutePath, entryOf, Program } from "../builders/entry.ts"

export const CommandDistribution = entryOf("command", {}, {
  program: Program,
  /** Tried when a worker starts, if there is one: exits with 0 where the program can work. */
  check: Schema.optionalKey(Program),
  /** What the program does with a request's customizations; all others are refused. */
  customizations: Schema.optionalKey(Schema.Array(CustomizationKey)),
  /** Runs it as strangers' programs are run: with these paths, its workspace and the machine's programs, and nothing else. */
  sandbox: Schema.optionalKey(Schema.Struct({
    read: Schema.optionalKey(Schema.Array(AbsolutePath)),
    network: Schema.optionalKey(Schema.Boolean)
  })),
  /** How long it may take to end when a build is canceled. */
  grace_seconds: Schema.optionalKey(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 60 })))
})
export type CommandDistribution = typeof CommandDistribution.Type
