/** Has a worker do something small at a target: one that serves the tenant's pool, and has the credentials or may be given them. */
import { Effect } from "effect"
import { isFor } from "../../domain/credential-sets.ts"
import { type AskedErrand, Errand, Refused, type SentErrand } from "../../domain/errand.ts"
import type { TenantId } from "../../domain/ids.ts"
import type { CloudResource } from "../../domain/image-copy.ts"
import type { Place } from "../../domain/places.ts"
import { Sealer } from "../../domain/ports/sealer.ts"
import { Dispatch } from "../../domain/ports/work.ts"
import { slotsOf, type Worker } from "../../domain/scheduling/fleet.ts"
import type { Target } from "../../domain/target.ts"
import { credentialsOfTarget } from "../../domain/target-credentials.ts"
import { credentialSetsOf } from "../credentials.ts"
import type { Desk } from "./desk.ts"

/** A little longer than the worker takes: what it has not done by then it does not do any more. */
export const sendWithinMs = 5 * 60_000
/** Likewise; somebody waits for the answer. */
const askedWithinMs = { Check: 30_000, Link: 8_000 }

type At = Omit<typeof Errand.cases.Check.Type, "_tag">

/** For the reaper: without `resources` it looks what lies there; every end is an answer. */
export const sendWorker = (desk: Desk, { target, tenantId }: Place, resources?: ReadonlyArray<CloudResource>) =>
  Effect.map(
    send(desk, tenantId, target, sendWithinMs, (at) =>
      resources === undefined ? Errand.cases.Look.make(at) : Errand.cases.Remove.make({ ...at, resources })),
    ({ answer }) => answer
  )

/** For a gateway, on behalf of a tenant. */
export const sendAsked = (desk: Desk, tenantId: TenantId, asked: AskedErrand) =>
  send(desk, tenantId, asked.target, askedWithinMs[asked._tag], (at) => {
    if (asked._tag === "Check") return Errand.cases.Check.make(at)
    const { copy, seconds } = asked
    return Errand.cases.Link.make({ ...at, copy, seconds })
  })

const send = Effect.fn("sendWorker")(function*(desk: Desk, tenantId: TenantId, target: Target, withinMs: number, errandOf: (at: At) => Errand) {
  const name = credentialsOfTarget(target)
  const able = workersFor(desk, tenantId, Date.now())
  const withSet = able.find(({ heartbeat }) => heartbeat!.credentials?.some((set) => set.name === name && isFor(set, tenantId)))
  const stored = name === undefined || withSet !== undefined ? undefined : (yield* credentialSetsOf(tenantId)).get(name)
  const worker = withSet ?? (name === undefined || stored !== undefined ? able[0] : undefined)
  if (worker === undefined) {
    return refused(able.length === 0
      ? "no worker that delivers is there"
      : `neither the tenant nor a worker that is there has a set of credentials named ${name}`)
  }
  const credentials = stored === undefined ? {} : { credentials: yield* (yield* Sealer).open(tenantId, stored.sealed) }
  const answer = yield* (yield* Dispatch).errand(worker.speaker, errandOf({ tenantId, target, ...credentials }), withinMs)
  return { worker: worker.speaker.worker, answer } as SentErrand
}, Effect.catchTags({
  SealLost: () => Effect.succeed(refused("the set of credentials was sealed with a key that is gone")),
  LogUnavailable: ({ message }) => Effect.succeed(refused(message)),
  WorkUnavailable: ({ message }) => Effect.succeed(refused(message))
}))

const refused = (message: string): SentErrand => ({ answer: Refused.make({ message }) })

const workersFor = (desk: Desk, tenantId: TenantId, now: number): ReadonlyArray<Worker> => {
  const { fleet } = desk.scheduler
  return [...fleet.serving(desk.poolOf(tenantId))].filter((worker) => fleet.isOpen(worker, now) && slotsOf(worker, "upload") > 0)
}
