import { Effect, Option } from "effect"
import type { ComposeAccepted, ComposeDetails } from "../../gateway/api/compose-views.ts"
import { Kiln } from "../client.ts"
import { downloadEvidence } from "../download-evidence.ts"
import { downloadImages } from "../download-images.ts"
import { fromHere } from "../endpoint.ts"
import { answer, Output, print } from "../output.ts"
import { withLocalFiles } from "../local-files.ts"
import { readRequest } from "../request-file.ts"
import { withTargets } from "../with-targets.ts"
import { conclude, sayThatItGoesOn, watchCompose } from "../watch-compose.ts"

export interface BuildInput {
  readonly file: string
  readonly detach: boolean
  readonly download: Option.Option<string>
  readonly idempotencyKey: Option.Option<string>
  readonly target: ReadonlyArray<string>
}

export const build = Effect.fn("build")(function*({ detach, download, file, idempotencyKey, target }: BuildInput) {
  const { json } = yield* Output
  const kiln = yield* Kiln
  const accepted = yield* kiln.json<ComposeAccepted>("/composes", {
    method: "POST",
    body: yield* withLocalFiles(yield* withTargets(yield* readRequest(file), target), file),
    headers: Option.match(idempotencyKey, { onNone: () => ({}), onSome: (key) => ({ "idempotency-key": key }) })
  })
  if (detach) return yield* answer(accepted, () => [accepted.id])
  if (!json) yield* print(`compose ${accepted.id}`)
  const live = yield* watchCompose(accepted.id).pipe(sayThatItGoesOn(accepted.id))
  const files = live.status === "succeeded" && Option.isSome(download)
    ? yield* downloadImages(accepted.id, { folder: fromHere(download.value) })
    : []
  for (const file of files) yield* downloadEvidence({ id: accepted.id, ...file }, ["provenance"])
  if (json) {
    const compose = yield* kiln.json<ComposeDetails>(`/composes/${accepted.id}`)
    yield* answer(Option.isSome(download) ? { ...compose, files } : compose, () => [])
  }
  yield* conclude(accepted.id, live)
})
