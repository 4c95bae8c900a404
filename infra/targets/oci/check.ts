/** What would keep an image from being pushed, tried out. */
import { Effect } from "effect"
import type { BuildFailed } from "../../../domain/ports/image-builder.ts"
import type { Obstacle } from "../../../domain/ports/image-targets.ts"
import { refused } from "./failures.ts"
import { beginUpload, isThere } from "./registry.ts"
import type { Session } from "./session.ts"

/** Leaves no upload behind: it is begun and given up. */
export const obstaclesIn = (to: Session): Effect.Effect<ReadonlyArray<Obstacle>, BuildFailed> =>
  Effect.gen(function*() {
    const api = new URL("/v2/", to.origin)
    const answer = yield* to.send({ method: "GET", url: api })
    // Some let nobody see this who has not said which repository is meant.
    if (!isThere(answer) && answer.status !== 401 && answer.status !== 403) return yield* refused("the registry API", to.host, answer)
    const { at } = yield* beginUpload(to)
    const given = yield* to.send({ method: "DELETE", url: at })
    // What cannot be given up is forgotten by the registry after a while.
    return given.status >= 500 ? [{ what: "DELETE upload", problem: refused("giving an upload up", to.host, given).message }] : []
  }).pipe(
    // Who does not answer says nothing of what is allowed.
    Effect.catchIf((failed) => failed.class === "user", ({ message }) => Effect.succeed([{ what: "push", problem: message }]))
  )
