import { Effect } from "effect"

/** Asks for each distribution what stands in its way here. */
export const obstaclesOf = <Entry extends { readonly distribution: string }>(
  entries: ReadonlyArray<Entry>, obstacleOf: (entry: Entry) => Effect.Effect<string | undefined>
): Effect.Effect<ReadonlyMap<string, string>> =>
  Effect.map(
    Effect.forEach(entries, (entry) => Effect.map(obstacleOf(entry), (why) => [entry.distribution, why] as const)),
    (all) => new Map(all.filter((each): each is [string, string] => each[1] !== undefined))
  )
