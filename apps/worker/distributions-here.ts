/** Which of the distributions that its builders know a worker can make on its machine. */
import { Effect } from "effect"
import type { ImageBuilder } from "../../domain/ports/image-builder.ts"

/** `allowed`: those that its file names, if it names any. What cannot be made is said once, with the reason. */
export const distributionsHere = Effect.fn("distributionsHere")(function*(builders: ReadonlyArray<ImageBuilder>, allowed?: ReadonlyArray<string>) {
  const here = yield* Effect.forEach(builders, Effect.fnUntraced(function*({ name, obstacles, offers }) {
    const wanted = offers.filter(({ id }) => allowed?.includes(id) ?? true)
    const found = wanted.length === 0 ? new Map<string, string>() : yield* obstacles
    for (const { id } of wanted) {
      const reason = found.get(id)
      if (reason !== undefined) yield* Effect.logWarning("a distribution is not offered here", { distribution: id, builder: name, reason })
    }
    return wanted.filter(({ id }) => !found.has(id)).map(({ id }) => id)
  }), { concurrency: "unbounded" })
  return here.flat()
})
