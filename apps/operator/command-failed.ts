/** How a command ends when it does not end well. */
import { Schema } from "effect"

/** Scripts rely on these numbers: none changes its meaning. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  invalid: 2,
  canceled: 3,
  notFound: 4,
  notAllowed: 5,
  unreachable: 6
} as const

export const exitCodesHelp = `  Exit codes
    0    all well
    1    the compose failed, or a file is not what was promised
    2    wrong usage, or a request that Kiln refuses
    3    the compose was canceled
    4    not found
    5    not allowed, or no valid token
    6    the service cannot be reached, or asks to come back later
    130  interrupted`

/** The message is for people, one sentence a line; an empty one says that all has been said already. */
export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", {
  code: Schema.Int,
  message: Schema.String,
  /** The problem document of the service, for `--json`. */
  problem: Schema.optional(Schema.Unknown)
}) {}

export const commandFailed = (kind: keyof typeof exitCodes, message: string, problem?: unknown) =>
  new CommandFailed({ code: exitCodes[kind], message, problem })
