/** The handler that tries targets: by a worker, as a delivery would, or, where none can be sent, here, as far as this gateway has the sets. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { Credentials } from "../../domain/credentials.ts"
import { AskedErrand, Refused, type SentErrand } from "../../domain/errand.ts"
import type { TenantId } from "../../domain/ids.ts"
import { CredentialSets } from "../../domain/ports/credential-sets.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { type ImageTarget, ImageTargets, type Obstacle } from "../../domain/ports/image-targets.ts"
import { Scheduling } from "../../domain/ports/scheduling.ts"
import { Sealer } from "../../domain/ports/sealer.ts"
import type { Target } from "../../domain/target.ts"
import { credentialsOfTarget } from "../../domain/target-credentials.ts"
import { credentialSetsOf } from "../credentials.ts"
import { CurrentIdentity } from "./api/authorization.ts"
import { KilnApi } from "./api/kiln-api.ts"
import type { CheckedTargetView } from "./api/targets-api.ts"
import { orUnavailable } from "./find-compose.ts"
import { targetFaults } from "./target-credentials.ts"
import { badRequest } from "./faults.ts"

/** Who asks waits for the answer; of a worker as long as the scheduler waits for one. */
const patience = "30 seconds"

export const TargetsLive = HttpApiBuilder.group(KilnApi, "targets", Effect.fnUntraced(function*(handlers) {
  const ports = yield* Effect.context<EventLog | Sealer | Scheduling | CredentialSets | ImageTargets>()
  return handlers.handleAll({
    check: Effect.fnUntraced(function*({ payload: { targets } }) {
      const { tenantId } = yield* CurrentIdentity
      const placed = targets.map((target, at) => ({ target, path: `targets[${at}].credentials` }))
      const faults = yield* orUnavailable(targetFaults(tenantId, placed))
      if (faults.length > 0) return yield* badRequest(faults)
      return yield* Effect.forEach(targets, (target) => orUnavailable(checked(tenantId, target)), { concurrency: 4 })
    }, Effect.provideContext(ports))
  })
}))

type Said = Omit<CheckedTargetView, "type" | "credentials">

const checked = Effect.fnUntraced(function*(tenantId: TenantId, target: Target) {
  const credentials = credentialsOfTarget(target)
  const said = target.type === "file" ? answered([]) : yield* tried(tenantId, target)
  return { type: target.type, ...(credentials !== undefined && { credentials }), ...said }
})

const answered = (obstacles: ReadonlyArray<Obstacle>): Said => ({ status: obstacles.length === 0 ? "ready" : "obstructed", obstacles })
const untried = (note: string): Said => ({ status: "untried", obstacles: [], note })

const tried = Effect.fnUntraced(function*(tenantId: TenantId, target: Target) {
  const { answer, worker } = yield* (yield* Scheduling).errand(tenantId, AskedErrand.cases.Check.make({ target })).pipe(
    Effect.catch(({ message }) => Effect.succeed<SentErrand>({ answer: Refused.make({ message }) }))
  )
  const problem = answer._tag === "Refused" ? answer.message : "the worker answered something else"
  if (worker === undefined) return yield* here(tenantId, target, problem)
  return { ...answered(answer._tag === "Checked" ? answer.obstacles : [{ what: `check ${target.type}`, problem }]), worker }
})

/** `nobody`: why no worker could try it. */
const here = Effect.fnUntraced(function*(tenantId: TenantId, target: Target, nobody: string) {
  const name = credentialsOfTarget(target)
  const cloud = (yield* ImageTargets).get(target.type) as ImageTarget | undefined
  if (cloud === undefined) return untried(`nobody here delivers to targets of type ${target.type}`)
  const found = name === undefined ? { credentials: undefined } : yield* heldHere(tenantId, name)
  if ("problem" in found) return answered([{ what: `credentials ${name}`, problem: found.problem }])
  if (name !== undefined && found.credentials === undefined) {
    return untried(`only workers have the set of credentials named ${name}, and none of them can try it: ${nobody}`)
  }
  return yield* cloud.check(target, found.credentials).pipe(
    Effect.map(answered),
    Effect.catch(({ message }) => Effect.succeed(answered([{ what: `check ${target.type}`, problem: message }]))),
    Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.succeed(untried(`there was no answer within ${patience}`)) })
  )
})

type Held = { readonly credentials: Credentials | undefined } | { readonly problem: string }

/** The operator's of that name before the tenant's, as on workers. */
const heldHere = Effect.fnUntraced(function*(
  tenantId: TenantId, name: string
): Effect.fn.Return<Held, { readonly message: string }, EventLog | Sealer | CredentialSets> {
  const sets = yield* CredentialSets
  return yield* Effect.gen(function*() {
    const own = yield* sets.find(name, tenantId)
    if (own !== undefined) return { credentials: own }
    const stored = (yield* credentialSetsOf(tenantId)).get(name)
    if (stored === undefined) return { credentials: undefined }
    return { credentials: yield* sets.admit(yield* (yield* Sealer).open(tenantId, stored.sealed)) }
  }).pipe(Effect.catchTags({
    CredentialsUnusable: ({ message }) => Effect.succeed<Held>({ problem: message }),
    SealLost: () => Effect.succeed<Held>({ problem: "what was stored was sealed with a key that is gone: store it again" })
  }))
})
