import { Effect } from "effect"
import { Kiln } from "../client.ts"
import { Output } from "../output.ts"
import { conclude, sayThatItGoesOn, watchAsDocuments, watchCompose } from "../watch-compose.ts"

export const watch = Effect.fn("watch")(function*({ id }: { readonly id: string }) {
  const { json } = yield* Output
  // A wrong id is a sentence before it is a stream.
  yield* (yield* Kiln).json(`/composes/${id}`)
  yield* conclude(id, yield* (json ? watchAsDocuments(id) : watchCompose(id)).pipe(sayThatItGoesOn(id)))
})
