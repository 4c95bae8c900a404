/** From what people call a blueprint to its id. */
import { Effect } from "effect"
import type { BlueprintPage } from "../gateway/api/blueprints-api.ts"
import { Kiln } from "./client.ts"
import { commandFailed } from "./command-failed.ts"

const isId = (text: string) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)

/** By its exact name; nothing if there is none. */
export const itemNamed = Effect.fnUntraced(function*(name: string) {
  const { items: [item] } = yield* (yield* Kiln).json<BlueprintPage>("/blueprints", { query: { name } })
  return item
})

/** People say the name, scripts may say the id. */
export const idOf = Effect.fnUntraced(function*(name: string) {
  if (isId(name)) return name
  const item = yield* itemNamed(name)
  return item === undefined ? yield* commandFailed("notFound", `There is no blueprint named ${name}`) : item.id
})
