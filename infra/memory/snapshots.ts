import { Effect, Layer, Stream } from "effect"
import { Snapshots } from "../../domain/ports/snapshots.ts"

export const SnapshotsInMemory = Layer.sync(Snapshots, () => {
  const saved = new Map<string, ReadonlyArray<string>>()
  return Snapshots.of({
    load: (name) => Stream.suspend(() => Stream.fromIterable(saved.get(name) ?? [])),
    save: (name, lines) => Effect.sync(() => void saved.set(name, [...lines]))
  })
})
