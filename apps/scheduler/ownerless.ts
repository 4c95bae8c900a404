/** Which of the things that lie at a place are nobody's, by what the log says now. */
import { Effect } from "effect"
import type { SeenResource } from "../../domain/errand.ts"
import type { Place } from "../../domain/places.ts"
import { type Found, standingOf } from "../../domain/reaper.ts"
import { readCompose } from "../read-compose.ts"

export const ownerless = Effect.fnUntraced(function*(place: Place, deployment: string, things: ReadonlyArray<SeenResource>) {
  const ofComposes = Map.groupBy(things, ({ composeId, tenantId }) => `${tenantId}/${composeId}`)
  const found = yield* Effect.forEach(ofComposes.values(), Effect.fnUntraced(function*(own) {
    const { compose, recorded } = yield* readCompose(own[0]!.tenantId, own[0]!.composeId)
    const changedAt = recorded.findLast(({ events }) => events.some(({ _tag }) => _tag !== "LeftoversCondemned"))?.at ?? 0
    return own.flatMap(({ composeId, jobId, madeAt, resource, tenantId }): ReadonlyArray<Found> => {
      const marked = { resource, marks: { deployment, tenantId, composeId, jobId }, madeAt }
      const standing = standingOf(compose, marked)
      // Of another tenant only what no log knows is of interest here: the rest is seen where that tenant delivers to.
      return standing === "owned" || (tenantId !== place.tenantId && compose.status !== "absent") ? [] : [{ place, marked, standing, changedAt }]
    })
  }), { concurrency: 8 })
  return found.flat()
})
