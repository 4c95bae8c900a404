import { Effect, Option } from "effect"
import type { ComposeDetails } from "../../gateway/api/compose-views.ts"
import { Kiln } from "../client.ts"
import { answer, Output } from "../output.ts"
import { conclude, sayThatItGoesOn, watchAsDocuments, watchCompose } from "../watch-compose.ts"

export interface RetryInput {
  readonly id: string
  readonly job: Option.Option<string>
  readonly detach: boolean
}

/** Asks for another attempt and watches what comes of it. */
export const retry = Effect.fn("retry")(function*({ detach, id, job }: RetryInput) {
  const { json } = yield* Output
  const query = Option.match(job, { onNone: () => "", onSome: (name) => `?job=${encodeURIComponent(name)}` })
  const compose = yield* (yield* Kiln).json<ComposeDetails>(`/composes/${id}/retry${query}`, { method: "POST" })
  if (detach) return yield* answer(compose, () => [`compose ${compose.id} ${compose.status}`])
  yield* conclude(id, yield* (json ? watchAsDocuments(id) : watchCompose(id)).pipe(sayThatItGoesOn(id)))
})
