/** Has a worker do something small at a place: one that serves the tenant's pool, and has the credentials or may be given them. */
import { Effect } from "effect"
import { isFor } from "../../domain/credential-sets.ts"
import { Errand, type ErrandAnswer, Refused } from "../../domain/errand.ts"
import type { TenantId } from "../../domain/ids.ts"
import type { CloudResource } from "../../domain/image-copy.ts"
import type { Place } from "../../domain/places.ts"
import { Sealer } from "../../domain/ports/sealer.ts"
import { Dispatch } from "../../domain/ports/work.ts"
import { slotsOf, type Worker } from "../../domain/scheduling/fleet.ts"
import { credentialSetsOf } from "../credentials.ts"
import type { Desk } from "./desk.ts"

/** A little longer than the worker takes. */
const withinMs = 5 * 60_000

/** Without `resources` it looks what lies there; every end is an answer. */
export const sendWorker = Effect.fn("sendWorker")(function*(desk: Desk, { target, tenantId }: Place, resources?: ReadonlyArray<CloudResource>) {
  const name = target.credentials
  const able = workersFor(desk, tenantId, Date.now())
  const withSet = able.find(({ heartbeat }) => heartbeat!.credentials?.some((set) => set.name === name && isFor(set, tenantId)))
  const stored = name === undefined || withSet !== undefined ? undefined : (yield* credentialSetsOf(tenantId)).get(name)
  const worker = withSet ?? (name === undefined || stored !== undefined ? able[0] : undefined)
  if (worker === undefined) return refused(able.length === 0 ? "no worker that delivers is there" : `neither the tenant nor a worker that is there has a set of credentials named ${name}`)
  const credentials = stored === undefined ? {} : { credentials: yield* (yield* Sealer).open(tenantId, stored.sealed) }
  const errand = resources === undefined
    ? Errand.cases.Look.make({ tenantId, target, ...credentials })
    : Errand.cases.Remove.make({ tenantId, target, resources, ...credentials })
  return yield* (yield* Dispatch).errand(worker.speaker, errand, withinMs)
}, Effect.catchTags({
  SealLost: () => Effect.succeed(refused("the set of credentials was sealed with a key that is gone")),
  LogUnavailable: ({ message }) => Effect.succeed(refused(message)),
  WorkUnavailable: ({ message }) => Effect.succeed(refused(message))
}))

const refused = (message: string): ErrandAnswer => Refused.make({ message })

const workersFor = (desk: Desk, tenantId: TenantId, now: number): ReadonlyArray<Worker> => {
  const { fleet } = desk.scheduler
  return [...fleet.serving(desk.poolOf(tenantId))].filter((worker) => fleet.isOpen(worker, now) && slotsOf(worker, "upload") > 0)
}
