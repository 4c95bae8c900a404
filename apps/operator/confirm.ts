/** Before something is gone for good, somebody says yes. */
import { createInterface } from "node:readline/promises"
import { Context, Effect } from "effect"
import { commandFailed } from "./command-failed.ts"
import { Output } from "./output.ts"

/** Puts a question to whoever sits there; nobody does where input or output is no terminal. */
export type Ask = ((question: string) => Promise<string>) | undefined

const askHere: Ask = process.stdin.isTTY === true && process.stderr.isTTY === true
  ? async (question) => {
    // Not on standard output, which may be somebody's file.
    const lines = createInterface({ input: process.stdin, output: process.stderr })
    const aborting = new AbortController()
    lines.once("close", () => aborting.abort())
    try {
      return await lines.question(question, { signal: aborting.signal })
    } catch {
      return ""
    } finally {
      lines.close()
    }
  }
  : undefined

export const Asking = Context.Reference<Ask>("operator/Asking", { defaultValue: () => askHere })

/** `what` completes "This …": `forgets 0a1b`. */
export const confirmed = Effect.fnUntraced(function*(what: string, yes: boolean) {
  if (yes) return
  const ask = yield* Asking
  const { json } = yield* Output
  if (ask === undefined || json) return yield* commandFailed("invalid", `This ${what}: say --yes if that is meant`)
  const said = yield* Effect.promise(() => ask(`This ${what}. Go on? [y/N] `))
  if (!/^\s*y(es)?\s*$/i.test(said)) return yield* commandFailed("invalid", "Nothing was done")
})
