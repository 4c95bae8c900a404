/** A compose request as people keep it: JSON or YAML, `-` for what comes in. */
import { readFile } from "node:fs/promises"
import { text } from "node:stream/consumers"
import { Effect } from "effect"
import { commandFailed } from "./command-failed.ts"
import { fromHere } from "./endpoint.ts"

/** The request as JSON text. JSON goes out as it is, so that the service judges what was written. */
export const readRequest = Effect.fn("readRequest")(function*(file: string) {
  const source = yield* Effect.tryPromise({
    try: () => file === "-" ? text(process.stdin) : readFile(fromHere(file), "utf8"),
    catch: (error) => commandFailed("invalid", (error as NodeJS.ErrnoException).code === "ENOENT"
      ? `There is no file ${file}`
      : `${file} cannot be read: ${(error as Error).message}`)
  })
  if (/^\s*\{/.test(source) || file.endsWith(".json")) {
    yield* Effect.try({
      try: () => JSON.parse(source) as unknown,
      catch: (error) => commandFailed("invalid", `${file} is no JSON: ${(error as Error).message}`)
    })
    return source
  }
  const { parse } = yield* Effect.promise(() => import("yaml"))
  return yield* Effect.try({
    // Numbers such as 0644 stay what they look like only under YAML 1.2, the library's default.
    try: () => JSON.stringify(parse(source, { maxAliasCount: 100 }) ?? null),
    catch: (error) => commandFailed("invalid", `${file} is no YAML: ${(error as Error).message.trim()}`)
  })
})
