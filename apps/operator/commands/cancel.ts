import { Effect } from "effect"
import type { ComposeDetails } from "../../gateway/api/compose-views.ts"
import { Kiln } from "../client.ts"
import { answer } from "../output.ts"

export const cancel = Effect.fn("cancel")(function*({ id }: { readonly id: string }) {
  const compose = yield* (yield* Kiln).json<ComposeDetails>(`/composes/${id}/cancel`, { method: "POST" })
  yield* answer(compose, () => [`compose ${compose.id} ${compose.status}`])
})
