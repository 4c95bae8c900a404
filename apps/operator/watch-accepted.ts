/** From an accepted compose to its end, and to its files. */
import { Effect, Option } from "effect"
import type { ComposeAccepted, ComposeDetails } from "../gateway/api/compose-views.ts"
import { Kiln } from "./client.ts"
import { downloadEvidence } from "./download-evidence.ts"
import { downloadImages } from "./download-images.ts"
import { fromHere } from "./endpoint.ts"
import { answer, Output, print } from "./output.ts"
import { conclude, sayThatItGoesOn, watchCompose } from "./watch-compose.ts"

export interface Watching {
  readonly detach: boolean
  /** Where the files go, if they shall be fetched. */
  readonly download: Option.Option<string>
}

export const watchAccepted = Effect.fnUntraced(function*(accepted: ComposeAccepted, { detach, download }: Watching) {
  const { json } = yield* Output
  if (detach) return yield* answer(accepted, () => [accepted.id])
  if (!json) yield* print(`compose ${accepted.id}`)
  const live = yield* watchCompose(accepted.id).pipe(sayThatItGoesOn(accepted.id))
  const files = live.status === "succeeded" && Option.isSome(download)
    ? yield* downloadImages(accepted.id, { folder: fromHere(download.value) })
    : []
  for (const file of files) yield* downloadEvidence({ id: accepted.id, ...file }, ["provenance"])
  if (json) {
    const compose = yield* (yield* Kiln).json<ComposeDetails>(`/composes/${accepted.id}`)
    yield* answer(Option.isSome(download) ? { ...compose, files } : compose, () => [])
  }
  yield* conclude(accepted.id, live)
})
