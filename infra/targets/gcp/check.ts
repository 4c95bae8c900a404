/** What would keep a delivery to Google from working, as far as one may ask without making anything. */
import { Effect } from "effect"
import { BuildFailed } from "../../../domain/ports/image-builder.ts"
import type { Obstacle } from "../../../domain/ports/image-targets.ts"
import type { TargetOf } from "../../../domain/target.ts"
import type { CallFailed } from "../call-failed.ts"
import { redacted } from "../failures.ts"
import type { Clients } from "./clients.ts"

const rights = ["storage.objects.create", "storage.objects.get", "storage.objects.delete", "storage.objects.list"]

export const obstaclesOf = Effect.fn("gcp.check")(function*(clients: Clients, { bucket }: TargetOf<"gcp">) {
  const [store, list, quota] = yield* Effect.all([tried(ofBucket(clients, bucket)), tried(ofImages(clients)), tried(ofQuota(clients))], { concurrency: 3 })
  return [...store, ...list, ...quota]
})

const tried = <R>(effect: Effect.Effect<ReadonlyArray<Obstacle>, CallFailed, R>) =>
  Effect.catchTag(effect, "CallFailed", ({ code, message, what }) =>
    Effect.succeed([{ what, problem: redacted(code === undefined ? message : `${code}: ${message}`) }]))

const ofBucket = Effect.fnUntraced(function*({ ask }: Clients, name: string) {
  const { permissions = [] } = yield* ask<{ readonly permissions?: ReadonlyArray<string> }>(
    "storage.buckets.testIamPermissions", "iam/testPermissions", rights.map((right) => ["permissions", right])
  )
  return rights.filter((right) => !permissions.includes(right)).map((what): Obstacle => ({ what, problem: `not granted on the bucket ${name}` }))
})

/** The nearest to making one that leaves nothing behind. */
const ofImages = Effect.fnUntraced(function*({ call, images, project }: Clients) {
  yield* call("compute.images.list", () => images.list({ project, maxResults: 1 }, { autoPaginate: false }))
  return []
})

/**
 * How many images a project may have is no rate: it is known before gigabytes are sent for nothing. Where the credentials may not
 * look, the import tells.
 */
export const ensureRoom = Effect.fn("gcp.ensureRoom")(function*(clients: Clients) {
  const [full] = yield* ofQuota(clients).pipe(Effect.scoped, Effect.catchTag("CallFailed", () => Effect.succeed([])))
  if (full === undefined) return
  yield* new BuildFailed({
    class: "target-quota",
    message: `${full.what}: ${full.problem}; nothing was sent. Remove some, or ask Google for more: it is tried again some times, and after that on request`
  })
})

const ofQuota = Effect.fnUntraced(function*({ call, project, projects }: Clients) {
  const client = yield* projects
  const [{ quotas }] = yield* call("compute.projects.get", () => client.get({ project }))
  const quota = quotas?.find(({ metric }) => String(metric) === "IMAGES")
  if (quota === undefined || (quota.usage ?? 0) < (quota.limit ?? Infinity)) return []
  return [{ what: "compute.images.insert", problem: `the project ${project} has ${quota.usage} images, and may have ${quota.limit}` }]
})
