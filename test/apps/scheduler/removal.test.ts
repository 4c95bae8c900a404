/** Copies that go, from the command to the store and the cloud that they lay in. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { v7 } from "uuid"
import { Accounts, AccountsLive } from "../../../apps/accounts.ts"
import { execute } from "../../../apps/execute.ts"
import { bytesOf, ReserveQuota } from "../../../domain/account.ts"
import { RemoveCopy, RequestCompose } from "../../../domain/compose-commands.ts"
import type { Compose } from "../../../domain/compose-state.ts"
import { ComposeId, JobId, Millis, type TenantId } from "../../../domain/ids.ts"
import { Artifacts } from "../../../domain/ports/artifacts.ts"
import type { Policy } from "../../../domain/policy.ts"
import { Scheduling } from "../../../domain/ports/scheduling.ts"
import type { Target } from "../../../domain/target.ts"
import { s3Target } from "../../../infra/targets/s3/target.ts"
import { nth, s3Keys, s3StandIn } from "../../support/s3-stand-in.ts"
import { Folder, historyOf, newTenant, SmallStack, startScheduler, startWorker, stateOf, until } from "../../support/small-stack.ts"

const removal = JobId.make("0-delete-0")
const intent = (tenantId: TenantId) => ({ tenantId, messageId: v7(), at: Millis.make(Date.now()), actor: { kind: "requester", id: "test" } as const })
const second = 1000
const slots = { resolve: 1, build: 1, upload: 1, delete: 1 }

const start = (name: string, defaults: Policy = {}, more: Parameters<typeof startWorker>[1] = {}) =>
  Effect.andThen(startScheduler("removal", undefined, { defaults }, undefined, undefined, 200), startWorker(name, { abilities: { slots }, ...more }))

const delivered = Effect.fnUntraced(function*(tenantId: TenantId, bytes: number, { labels, targets = [{ type: "file" }], reserve = false }: {
  labels?: Record<string, string>; targets?: ReadonlyArray<Target>; reserve?: boolean
} = {}) {
  const composeId = ComposeId.make(v7())
  const at = Millis.make(Date.now())
  if (reserve) yield* (yield* Accounts).execute(intent(tenantId), ReserveQuota.make({ now: at, standing: { storedBytes: 2 ** 40 }, composes: [{ composeId, bytes: 2 ** 30 }] }))
  yield* execute(intent(tenantId), RequestCompose.make({
    composeId, builder: "simulated", resolves: false,
    request: { distribution: "test-distro-1", ...(labels && { labels }), images: [{ architecture: "x86_64", type: "simulated", options: { bytes }, targets }] }
  }))
  const compose = yield* until(stateOf(tenantId, composeId), ({ status }) => status === "succeeded")
  return { composeId, ...uploaded(compose) }
})
const uploaded = ({ outcomes }: Compose) => {
  const outcome = outcomes.get(JobId.make("0-upload-0"))
  if (outcome?._tag !== "Uploaded") return assert.fail("nothing was delivered")
  return outcome
}
const remove = (tenantId: TenantId, composeId: ComposeId) => execute(intent(tenantId), RemoveCopy.make({ composeId, image: 0, target: 0, reason: "asked" }))
const gone = (tenantId: TenantId, composeId: ComposeId) => until(stateOf(tenantId, composeId), ({ removed }) => removed.size === 1)
const sizeOf = ({ artifact }: Pick<Extract<ReturnType<typeof uploaded>, unknown>, "artifact">) => Effect.flatMap(Artifacts, (artifacts) => artifacts.size(artifact.digest))

layer(Layer.provideMerge(AccountsLive, SmallStack), { excludeTestServices: true })("a copy", (it) => {
  it.effect("given two composes with one image in Kiln's own store, when both are removed, then its bytes stay until the second, and the account has them back", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      yield* start("w1", { storedBytes: 2 ** 40 })
      const accounts = yield* Accounts
      const one = yield* delivered(tenantId, 70_001, { reserve: true })
      const other = yield* delivered(tenantId, 70_001, { reserve: true })
      assert.strictEqual(one.artifact.digest, other.artifact.digest)
      const used = (bytes: number) => until(accounts.read(tenantId), (account) => bytesOf(account) === bytes)
      yield* used(2 * one.artifact.size)
      yield* remove(tenantId, one.composeId)
      const after = yield* gone(tenantId, one.composeId)
      assert.deepStrictEqual([after.status, after.jobs.get(removal)!.state, yield* sizeOf(one)], ["succeeded", "succeeded", one.artifact.size])
      yield* used(one.artifact.size)
      yield* remove(tenantId, other.composeId)
      yield* gone(tenantId, other.composeId)
      assert.isUndefined(yield* sizeOf(one))
      yield* used(0)
      assert.deepStrictEqual((yield* remove(tenantId, one.composeId)).events, [])
      // Whoever asks for it again has it built or taken from its holder again.
      const again = yield* delivered(tenantId, 70_001)
      assert.strictEqual(yield* sizeOf(again), again.artifact.size)
    }).pipe(Effect.scoped))

  it.effect("given a policy by number, when more are delivered, then the oldest go by themselves, but not what is kept or a pipeline's newest", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      yield* start("w3", { retention: { file: { maxCount: 1 } } })
      const kept = yield* delivered(tenantId, 70_011, { labels: { keep: "true" } })
      const last = yield* delivered(tenantId, 70_012, { labels: { pipeline: "web" } })
      const old = yield* delivered(tenantId, 70_013)
      const fresh = yield* delivered(tenantId, 70_014)
      const state = yield* gone(tenantId, old.composeId)
      assert.deepStrictEqual([...state.removals.values()], ["retention"])
      assert.isUndefined(yield* sizeOf(old))
      assert.deepStrictEqual(yield* (yield* Scheduling).retention(tenantId, false), [])
      for (const each of [kept, last, fresh]) assert.strictEqual(yield* sizeOf(each), each.artifact.size)
    }).pipe(Effect.scoped))

  const scene = Effect.fnUntraced(function*(name: string, defaults: Policy = {}) {
    const { dir } = yield* Folder
    const s3 = yield* s3StandIn()
    const credentialsFile = join(dir, `${name}-removal.json`)
    writeFileSync(credentialsFile, JSON.stringify({ lab: { provider: "aws", ...s3Keys, region: "eu-central-1", endpoints: { s3: s3.endpoint } } }), { mode: 0o600 })
    yield* start(name, defaults, { targets: [s3Target], credentialsFile })
    return { s3, bucket: s3.store.make("images", "eu-central-1"), tenantId: newTenant() }
  })
  const targets: ReadonlyArray<Target> = [{ type: "s3", bucket: "images", credentials: "lab" }]

  it.effect("given a cloud that refuses at first, when it is asked for again, then nothing of it is there, and the compose has ended as it had", () =>
    Effect.gen(function*() {
      const { bucket, s3, tenantId } = yield* scene("w4")
      const { composeId } = yield* delivered(tenantId, 70_021, { targets })
      assert.strictEqual(bucket.objects.size, 1)
      s3.fault = nth(1, "DeleteObject", { refuse: "AccessDenied", status: 403 })
      yield* remove(tenantId, composeId)
      const refused = yield* until(stateOf(tenantId, composeId), ({ jobs }) => jobs.get(removal)?.state === "failed")
      assert.deepStrictEqual([bucket.objects.size, refused.status, refused.removed.size], [1, "succeeded", 0])
      yield* remove(tenantId, composeId)
      const state = yield* gone(tenantId, composeId)
      assert.deepStrictEqual([bucket.objects.size, state.jobs.get(removal)!.attempt, state.status], [0, 2, "succeeded"])
      const failure = (yield* historyOf(tenantId, composeId)).findLast((event) => event._tag === "JobFailed")!
      assert.include(failure.failure.message, "AccessDenied")
    }).pipe(Effect.scoped))

  it.effect("given a policy by age, when a cloud copy's time is over, then it is told to whoever asks and goes by itself", () =>
    Effect.gen(function*() {
      const { bucket, tenantId } = yield* scene("w5", { retention: { cloud: { maxAgeMs: 3 * second } } })
      const { composeId } = yield* delivered(tenantId, 70_022, { targets })
      assert.deepStrictEqual(yield* (yield* Scheduling).retention(newTenant(), false), [])
      const state = yield* gone(tenantId, composeId)
      assert.deepStrictEqual([bucket.objects.size, [...state.removals.values()]], [0, ["retention"]])
    }).pipe(Effect.scoped))
})

