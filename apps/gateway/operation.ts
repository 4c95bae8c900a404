/** The handlers of what operators look after. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { TenantId } from "../../domain/ids.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { Parked } from "../../domain/ports/parked.ts"
import { Scheduling } from "../../domain/ports/scheduling.ts"
import type { KindDemand, PoolDemand } from "../../domain/scaling/demand.ts"
import type { JobInHand, WorkerOutlook } from "../../domain/scheduling/worker-outlook.ts"
import { WebhookLog } from "../../projections/webhook-log.ts"
import { onRecord } from "../operations.ts"
import { dropParked, findParked, forEachParked, listParked, parkedFilterWords, type ParkedThing, parkedWords } from "../parked.ts"
import { KilnApi } from "./api/kiln-api.ts"
import type { ParkedView, PoolView, WorkerView } from "./api/operation-api.ts"
import { NotFound, Unavailable } from "./api/problems.ts"
import { time } from "./compose-details.ts"
import { GatewayConfig } from "./config.ts"
import { fault } from "./faults.ts"
import { orUnavailable } from "./find-compose.ts"
import { operator } from "./operators.ts"

export const OperationLive = HttpApiBuilder.group(KilnApi, "operation", Effect.fnUntraced(function*(handlers) {
  const scheduling = yield* Scheduling
  const { operatorTenant } = yield* GatewayConfig
  const allowed = operator(operatorTenant)
  const ports = yield* Effect.context<EventLog | Parked | WebhookLog>()
  const by = (tenantId: TenantId = TenantId.make(operatorTenant)) =>
    Effect.map(allowed, ({ role, subject }) => ({ tenantId, actor: { kind: role, id: subject } as const }))

  return handlers.handleAll({
    workers: Effect.fnUntraced(function*({ query: { name, pool } }) {
      yield* allowed
      const workers = yield* orUnavailable(scheduling.workers(name))
      return workers.filter(({ pools }) => pool === undefined || pools.includes(pool)).map(workerView)
    }),
    discardImage: Effect.fnUntraced(function*({ params: { digest, name } }) {
      const told = onRecord(yield* by(), { operation: "image-discard", on: `${digest} on ${name}`, result: (answer) => answer }, scheduling.discard(name, digest))
      const answer = yield* orUnavailable(told)
      if (answer === "not-held") return yield* new NotFound({ detail: `no worker ${name} holds ${digest}` })
      if (answer === "away") return yield* new Unavailable({ detail: `worker ${name} is silent and cannot be told` })
      return { worker: name, digest, status: answer }
    }, Effect.provideContext(ports)),
    pools: () => Effect.andThen(allowed, Effect.map(orUnavailable(scheduling.pools), (pools) => pools.map(poolView))),
    parked: Effect.fnUntraced(function*({ query: { tenant, what } }) {
      yield* allowed
      return (yield* orUnavailable(listParked({ what, tenantId: tenant }))).map(parkedView)
    }, Effect.provideContext(ports)),
    dropAllParked: Effect.fnUntraced(function*({ query: { all, tenant: tenantId, what } }) {
      const as = yield* by(tenantId)
      if (tenantId === undefined && what === undefined && all === undefined) return yield* fault("query", "all", "say what or whose is dropped, or all=true")
      let dropped = 0
      const drop = forEachParked({ what, tenantId }, (things) => Effect.map(dropParked(as.actor, things), (count) => void (dropped += count)))
      yield* orUnavailable(onRecord(as, { operation: "parked-drop", on: parkedFilterWords({ what, tenantId }), result: () => `${dropped} dropped` }, drop))
      return { dropped }
    }, Effect.provideContext(ports)),
    dropParked: Effect.fnUntraced(function*({ params: { id } }) {
      yield* allowed
      const thing = yield* findParked(id).pipe(
        Effect.catchTag("NotParked", ({ message }) => Effect.fail(new NotFound({ detail: message }))),
        Effect.catchTags({ ParkedUnavailable: unavailable, QueriesUnavailable: unavailable }))
      const as = yield* by(thing.tenantId)
      yield* orUnavailable(onRecord(as, { operation: "parked-drop", on: parkedWords(thing) }, dropParked(as.actor, [thing])))
    }, Effect.provideContext(ports))
  })
}))

const workerView = (
  { abilities, busy, heardAt, held, heldDigests, jobs, pools, sessionSince, state, version, worker }: WorkerOutlook
): WorkerView => ({
  worker, pools, state, busy,
  ...(abilities && abilitiesView(abilities)),
  jobs: jobs.map(jobView),
  held_images: held,
  ...(heldDigests && { held_digests: heldDigests }),
  ...(version !== undefined && { version }),
  ...(sessionSince !== undefined && { session_since: time(sessionSince) }),
  ...(heardAt !== undefined && { heard_at: time(heardAt) })
})

const abilitiesView = ({ imageTypes, ...others }: NonNullable<WorkerOutlook["abilities"]>) =>
  ({ ...others, ...(imageTypes && { image_types: imageTypes }) })

const jobView = ({ attempt, composeId, jobId, kind, since, state, tenantId }: JobInHand): WorkerView["jobs"][number] =>
  ({ tenant: tenantId, compose: composeId, job: jobId, kind, attempt, state, since: time(since) })

const poolView = ({ at, kinds, pool, workers }: PoolDemand): PoolView => ({
  pool, at: time(at), workers: workers.length,
  kinds: {
    resolve: kindView(kinds.resolve),
    build: kindView(kinds.build),
    ...(kinds.test && { test: kindView(kinds.test) }),
    upload: kindView(kinds.upload),
    ...(kinds.delete && { delete: kindView(kinds.delete) })
  }
})

const kindView = ({ busySlots, freeSlots, meanDurationMs, oldestWaitMs, waiting, wantedSlots }: KindDemand) => ({
  waiting, oldest_wait_seconds: oldestWaitMs / 1000, busy_slots: busySlots, free_slots: freeSlots, wanted_slots: wantedSlots,
  ...(meanDurationMs !== undefined && { mean_duration_seconds: meanDurationMs / 1000 })
})

const unavailable = ({ message }: { readonly message: string }) => Effect.fail(new Unavailable({ detail: message }))

const parkedView = ({ at, by, composeId, id, reason, tenantId, text, what, where }: ParkedThing): ParkedView => ({
  id, what, by, where, reason,
  ...(tenantId !== undefined && { tenant: tenantId }),
  ...(composeId !== undefined && { compose: composeId }),
  ...(text !== undefined && { text }),
  at: time(at)
})
