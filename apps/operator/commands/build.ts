import { Effect, Option } from "effect"
import type { ComposeAccepted } from "../../gateway/api/compose-views.ts"
import { Kiln } from "../client.ts"
import { withLocalFiles } from "../local-files.ts"
import { readRequest } from "../request-file.ts"
import { watchAccepted, type Watching } from "../watch-accepted.ts"
import { withTargets } from "../with-targets.ts"

export interface BuildInput extends Watching {
  readonly file: string
  readonly idempotencyKey: Option.Option<string>
  readonly target: ReadonlyArray<string>
}

export const build = Effect.fn("build")(function*({ detach, download, file, idempotencyKey, target }: BuildInput) {
  const accepted = yield* (yield* Kiln).json<ComposeAccepted>("/composes", {
    method: "POST",
    body: yield* withLocalFiles(yield* withTargets(yield* readRequest(file), target), file),
    headers: Option.match(idempotencyKey, { onNone: () => ({}), onSome: (key) => ({ "idempotency-key": key }) })
  })
  yield* watchAccepted(accepted, { detach, download })
})
