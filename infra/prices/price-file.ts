/** The installation's price file: JSON or YAML, read once at start. */
import { Config, Effect, Option, Schema } from "effect"
import { Prices } from "../../domain/prices.ts"
import { readDocument } from "../files/read-document.ts"

export class PriceFileWrong extends Schema.TaggedError<PriceFileWrong>()("PriceFileWrong", { message: Schema.String }) {}

const decode = Schema.decodeUnknownEffect(Prices, { onExcessProperty: "error", errors: "all" })

export const readPriceFile = Effect.fn("readPriceFile")((path: string): Effect.Effect<Prices, PriceFileWrong> =>
  readDocument({ path, decode, wrong: (message) => new PriceFileWrong({ message: `KILN_PRICES=${path}: ${message}` }) }))

/** What `KILN_PRICES` names; nothing, if it is not set. */
export const pricesFromEnvironment = Effect.gen(function*() {
  const path = yield* Config.option(Config.String("KILN_PRICES"))
  return Option.isNone(path) || path.value === "" ? undefined : yield* readPriceFile(path.value)
})
