import { Effect, Layer } from "effect"
import { Parked, type ParkedItem } from "../../domain/ports/parked.ts"

export const ParkedInMemory = Layer.sync(Parked, () => {
  const items = new Map<string, ParkedItem & { readonly id: string }>()
  return Parked.of({
    park: (item) => Effect.sync(() => {
      const id = Buffer.from(`${item.by}\n${item.where}`).toString("hex")
      items.set(id, { ...item, id })
    }),
    list: Effect.sync(() => [...items.values()].toSorted((one, other) => other.at - one.at)),
    drop: (id) => Effect.sync(() => items.delete(id))
  })
})
