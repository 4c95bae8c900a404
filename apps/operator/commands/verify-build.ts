import { Effect } from "effect"
import type { ComposeAccepted, ComposeDetails } from "../../gateway/api/compose-views.ts"
import { Kiln } from "../client.ts"
import { commandFailed } from "../command-failed.ts"
import { answer, Output, print } from "../output.ts"
import { verificationLines } from "../verification-words.ts"
import { conclude, sayThatItGoesOn, watchCompose } from "../watch-compose.ts"

export interface VerifyBuildInput {
  readonly id: string
  readonly image: number
  readonly detach: boolean
}

/** Ends well if the image has come out as it was, or with the same contents. */
export const verifyBuild = Effect.fn("verifyBuild")(function*({ detach, id, image }: VerifyBuildInput) {
  const { json } = yield* Output
  const kiln = yield* Kiln
  const accepted = yield* kiln.json<ComposeAccepted>(`/composes/${id}/images/${image}/verify`, { method: "POST" })
  if (detach) return yield* answer(accepted, () => [accepted.id])
  if (!json) yield* print(`compose ${accepted.id}`)
  const live = yield* watchCompose(accepted.id).pipe(sayThatItGoesOn(accepted.id))
  const compose = yield* kiln.json<ComposeDetails>(`/composes/${accepted.id}`)
  yield* answer(compose, (output) => compose.verifies?.verdict === undefined ? [] : verificationLines(output, compose.verifies))
  yield* conclude(accepted.id, live)
  // All has been said.
  if (compose.verifies?.verdict === "different") return yield* commandFailed("failed", "")
})
