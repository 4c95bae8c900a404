/** Something small at a target that the scheduler asks for: to look what lies there, to remove what nobody owns, to try a delivery, to sign a link. */
import { type Duration, Effect } from "effect"
import { Checked, type Errand, type ErrandAnswer, Gone, Linked, Refused, Seen } from "../../domain/errand.ts"
import type { Credentials } from "../../domain/credentials.ts"
import { type ImageTarget, ImageTargets } from "../../domain/ports/image-targets.ts"
import type { Target } from "../../domain/target.ts"
import { credentialsFor } from "./credentials-for.ts"

/** Whoever sent it waits a little longer. */
const patience: Readonly<Record<Errand["_tag"], Duration.Input>> = { Look: "4 minutes", Remove: "4 minutes", Check: "25 seconds", Link: "6 seconds" }

type Turn = <A, E, R>(run: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** Every end is an answer. Waiting for a `turn` is part of its time. */
export const runErrand = (errand: Errand, deployment: string, turn: Turn = (run) => run) =>
  turn(done(errand, deployment)).pipe(
    Effect.timeoutOrElse({
      duration: patience[errand._tag], orElse: () => Effect.succeed(refused(`there was no answer within ${patience[errand._tag]}`))
    }),
    Effect.catch(({ message }) => Effect.succeed(refused(message))),
    Effect.catchDefect((defect) =>
      Effect.as(Effect.logError("an errand went wrong", defect), refused("something went wrong on the worker; its log says what")))
  )

const done = Effect.fn("runErrand")(function*(errand: Errand, deployment: string) {
  const { credentials: stored, target, tenantId } = errand
  const cloud = (yield* ImageTargets).get(target.type) as ImageTarget | undefined
  if (cloud === undefined) return refused(`this worker does not deliver to targets of type ${target.type}`)
  const credentials = yield* credentialsFor(target, tenantId, Effect.succeed(new Map(stored === undefined ? [] : [["credentials", stored]])))
  switch (errand._tag) {
    case "Remove":
      return yield* Effect.as(cloud.remove(target, errand.resources, credentials), Gone.make({}) as ErrandAnswer)
    case "Check":
      return Checked.make({ obstacles: (yield* cloud.check(target, credentials)).slice(0, mostObstacles) }) as ErrandAnswer
    case "Link":
      if (cloud.link === undefined) return refused(`there are no links to copies at targets of type ${target.type}`)
      return Linked.make({ url: yield* cloud.link(target, errand.copy, credentials, errand.seconds) }) as ErrandAnswer
    case "Look":
      return yield* looked(cloud, errand.target, credentials, deployment)
  }
})
const mostObstacles = 100

const looked = Effect.fnUntraced(function*(cloud: ImageTarget, target: Target, credentials: Credentials | undefined, deployment: string) {
  const marked = yield* cloud.marked(target, credentials, deployment)
  const resources = marked.map(({ madeAt, marks: { composeId, jobId, tenantId }, resource }) =>
    ({ resource, tenantId, composeId, jobId, ...(madeAt !== undefined && { madeAt }) }))
  return Seen.make({ deployment, resources }) as ErrandAnswer
})

const refused = (message: string): ErrandAnswer => Refused.make({ message })
