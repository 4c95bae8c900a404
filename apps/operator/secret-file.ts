/** A file with secrets in it, JSON or YAML, `-` for what comes in. What a parser says would quote it, so it is not repeated. */
import { readFile } from "node:fs/promises"
import { text } from "node:stream/consumers"
import { Effect } from "effect"
import { commandFailed } from "./command-failed.ts"
import { fromHere } from "./endpoint.ts"

export const readSecretFile = Effect.fn("readSecretFile")(function*(file: string) {
  const source = yield* Effect.tryPromise({
    try: () => file === "-" ? text(process.stdin) : readFile(fromHere(file), "utf8"),
    catch: (error) => commandFailed("invalid", `${file} cannot be read: ${(error as NodeJS.ErrnoException).code ?? "unknown error"}`)
  })
  const { parse } = yield* Effect.promise(() => import("yaml"))
  return yield* Effect.try({
    // JSON is YAML too.
    try: () => JSON.stringify(parse(source, { maxAliasCount: 0, logLevel: "silent" }) ?? null),
    catch: () => commandFailed("invalid", `${file} is neither JSON nor YAML`)
  })
})
