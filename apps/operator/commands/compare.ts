/** How two images differ, by file. */
import { Effect } from "effect"
import { differencesOf } from "../../../domain/image-difference.ts"
import { ImageContents } from "../../../domain/ports/image-contents.ts"
import { Adapters } from "../adapters.ts"
import { CommandFailed, commandFailed, exitCodes } from "../command-failed.ts"
import { differenceLine } from "../difference-line.ts"
import { fromHere } from "../endpoint.ts"
import { answer } from "../output.ts"

export interface CompareInput {
  readonly first: string
  readonly second: string
}

/** Ends well if they hold the same. */
export const compare = Effect.fn("compare")(function*(input: CompareInput) {
  const [first, second] = [fromHere(input.first), fromHere(input.second)]
  const { imageContents } = yield* Adapters
  const contents = yield* Effect.provide(Effect.map(ImageContents, (contents) => contents), imageContents)
  const failed = ({ message }: { readonly message: string }) => commandFailed("notFound", message)
  const [one, other] = yield* Effect.all([contents.digest(first), contents.digest(second)]).pipe(Effect.mapError(failed))
  if (one === other) return yield* answer({ same: "bytes", sha256: [one, other], differences: [] }, () => ["The same bytes"])
  const [before, after] = yield* Effect.all([contents.read(first), contents.read(second)]).pipe(Effect.mapError(failed))
  const differences = differencesOf(before, after)
  const same = differences.length === 0 ? "contents" : "no"
  yield* answer({ same, sha256: [one, other], differences }, () =>
    differences.length === 0 ? ["Other bytes, the same contents"] : differences.map(differenceLine))
  if (differences.length > 0) return yield* new CommandFailed({ code: exitCodes.failed, message: "" })
})
