/** `kiln` itself, with the flags that every command knows. */
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { Kiln, kilnAt } from "./client.ts"
import { exitCodesHelp } from "./command-failed.ts"
import { findEndpoint } from "./endpoint.ts"
import { MakeOutput, Output } from "./output.ts"

const url = Flag.String("url").pipe(
  Flag.withDescription("Where Kiln is (else KILN_URL, else what npm start left in KILN_HOME)"),
  Flag.optional
)
const token = Flag.String("token").pipe(Flag.withDescription("Bearer token (else KILN_TOKEN, else as above)"), Flag.optional)
const json = Flag.Boolean("json").pipe(Flag.withDescription("Print JSON for programs"), Flag.withDefault(false), Flag.withoutNegation)
const utc = Flag.Boolean("utc").pipe(
  Flag.withDescription("Show times in UTC instead of this machine's zone"), Flag.withDefault(false), Flag.withoutNegation
)

export const root = Command.make("kiln").pipe(
  Command.withSharedFlags({ url, token, json, utc }),
  Command.withDescription(
    `Build operating-system images and follow them.\n\n${exitCodesHelp}\n\n`
      + "  For output that programs read: npm run -s kiln -- list --json"
  )
)

/** For commands that need no service. */
export const alone = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const make = yield* MakeOutput
    return yield* Effect.provideService(effect, Output, make(yield* root))
  })

/** For commands that talk to the service. */
export const talking = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(root, (wishes) =>
    effect.pipe(
      Effect.provideServiceEffect(Kiln, Effect.map(findEndpoint(wishes), kilnAt)),
      alone
    ))
