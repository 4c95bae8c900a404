/** Files of a request that say `from`: what lies there on this machine goes along, small ones in the request, others before it. */
import { readFile } from "node:fs/promises"
import { dirname, resolve } from "node:path"
import { Effect } from "effect"
import { commandFailed } from "./command-failed.ts"
import { fromHere } from "./endpoint.ts"
import { storeFile } from "./store-file.ts"

/** What the service takes within a request, of all files together. */
const mostWithin = 256 * 1024

type Item = Readonly<Record<string, unknown>>

/** `request` is JSON text, of `file` or of standard input; a `from` is below that file's folder unless it is absolute. */
export const withLocalFiles = Effect.fnUntraced(function*(request: string, file: string) {
  const folder = file === "-" ? fromHere(".") : dirname(fromHere(file))
  let room = mostWithin
  return yield* eachFile(request, Effect.fnUntraced(function*({ from, ...item }: Item) {
    const content = yield* Effect.tryPromise({
      try: () => readFile(resolve(folder, String(from))),
      catch: (error) => commandFailed("invalid", `customizations.files: ${String(from)} cannot be read: ${(error as Error).message}`)
    })
    room -= content.length
    return room >= 0 ? { ...item, data: content.toString("base64"), data_encoding: "base64" } : { ...item, digest: (yield* storeFile(content)).digest }
  }))
})

/** For who asks what packages there would be: files do not matter to that. */
export const withoutLocalFiles = (request: string) => eachFile(request, (item) => {
  const { from: _, ...rest } = item
  return Effect.succeed({ ...rest, data: "" })
})

/** A request without any stays as it was written; what is wrong with it, the service says. */
const eachFile = Effect.fnUntraced(function*<E, R>(request: string, change: (item: Item) => Effect.Effect<Item, E, R>) {
  const document = JSON.parse(request) as { readonly customizations?: { readonly files?: unknown } } | null
  const files = document?.customizations?.files
  if (!Array.isArray(files) || !files.some(isLocal)) return request
  const changed = yield* Effect.forEach(files, (item: unknown) => isLocal(item) ? change(item) : Effect.succeed(item))
  return JSON.stringify({ ...document, customizations: { ...document!.customizations, files: changed } })
})

const isLocal = (item: unknown): item is Item => typeof item === "object" && item !== null && typeof (item as Item)["from"] === "string"
