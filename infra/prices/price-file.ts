/** The installation's price file: JSON or YAML, read once at start. */
import { readFile } from "node:fs/promises"
import { Config, Effect, Option, Schema, SchemaIssue } from "effect"
import { parse } from "yaml"
import { Prices } from "../../domain/prices.ts"

export class PriceFileWrong extends Schema.TaggedError<PriceFileWrong>()("PriceFileWrong", { message: Schema.String }) {}

const decode = Schema.decodeUnknownEffect(Prices, { onExcessProperty: "error", errors: "all" })
const format = SchemaIssue.makeFormatterStandardSchemaV1()

export const readPriceFile = Effect.fn("readPriceFile")(function*(path: string): Effect.fn.Return<Prices, PriceFileWrong> {
  const wrong = (message: string) => new PriceFileWrong({ message: `KILN_PRICES=${path}: ${message}` })
  const document = yield* Effect.tryPromise({
    // JSON is YAML too.
    try: async (): Promise<unknown> => parse(await readFile(path, "utf8"), { maxAliasCount: 100 }) ?? {},
    catch: (error) => wrong((error as NodeJS.ErrnoException).code === "ENOENT" ? "there is no such file" : (error as Error).message.trim())
  })
  return yield* decode(document).pipe(Effect.mapError(({ issue }) =>
    wrong(format(issue).issues.map(({ message, path: place = [] }) => `${place.map(String).join(".") || "the file"}: ${message}`).join("; "))))
})

/** What `KILN_PRICES` names; nothing, if it is not set. */
export const pricesFromEnvironment = Effect.gen(function*() {
  const path = yield* Config.option(Config.String("KILN_PRICES"))
  return Option.isNone(path) || path.value === "" ? undefined : yield* readPriceFile(path.value)
})
