/** Something small at a target that the scheduler asks for: to look what lies there, or to remove what nobody owns. */
import { Effect } from "effect"
import { type Errand, type ErrandAnswer, Gone, Refused, Seen } from "../../domain/errand.ts"
import { type ImageTarget, ImageTargets } from "../../domain/ports/image-targets.ts"
import { credentialsFor } from "./credentials-for.ts"

/** Whoever sent it waits a little longer. */
const patience = "4 minutes"

/** Every end is an answer. */
export const runErrand = Effect.fn("runErrand")(function*(errand: Errand, deployment: string) {
  const { credentials: stored, target, tenantId } = errand
  const cloud = (yield* ImageTargets).get(target.type) as ImageTarget | undefined
  if (cloud === undefined) return refused(`this worker does not deliver to targets of type ${target.type}`)
  const credentials = yield* credentialsFor(target, tenantId, Effect.succeed(new Map(stored === undefined ? [] : [["credentials", stored]])))
  if (errand._tag === "Remove") {
    yield* cloud.remove(target, errand.resources, credentials)
    return Gone.make({}) as ErrandAnswer
  }
  const marked = yield* cloud.marked(target, credentials, deployment)
  const resources = marked.map(({ madeAt, marks: { composeId, jobId, tenantId }, resource }) =>
    ({ resource, tenantId, composeId, jobId, ...(madeAt !== undefined && { madeAt }) }))
  return Seen.make({ deployment, resources }) as ErrandAnswer
}, (effect) => effect.pipe(
  Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.succeed(refused(`there was no answer within ${patience}`)) }),
  Effect.catch(({ message }) => Effect.succeed(refused(message))),
  Effect.catchDefect((defect) => Effect.as(Effect.logError("an errand went wrong", defect), refused("something went wrong on the worker; its log says what")))
))

const refused = (message: string): ErrandAnswer => Refused.make({ message })
