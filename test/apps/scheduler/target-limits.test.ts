/** Deliveries that wait for their account: a region of EC2 imports so many images at once. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, layer } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { v7 } from "uuid"
import { waitingFor } from "../../../apps/gateway/waiting.ts"
import { execute } from "../../../apps/execute.ts"
import { RequestCompose } from "../../../domain/compose-commands.ts"
import { ComposeId, Millis, type TenantId } from "../../../domain/ids.ts"
import type { Delivery, ImageTarget } from "../../../domain/ports/image-targets.ts"
import { Scheduling } from "../../../domain/ports/scheduling.ts"
import type { AwsTarget } from "../../../domain/target.ts"
import { targetFailed } from "../../../infra/targets/failures.ts"
import { Folder, historyOf, newTenant, SmallStack, startScheduler, startWorker, stateOf, until } from "../../support/small-stack.ts"

/** A cloud whose imports end when they are told to. */
class SlowRegions {
  readonly #under = new Map<string, { readonly region: string; readonly done: Deferred.Deferred<void> }>()
  most = new Map<string, number>()

  readonly target: Pick<ImageTarget<typeof AwsTarget.Type>, "deliver" | "format" | "type"> = {
    type: "aws",
    format: () => Effect.succeed(undefined),
    deliver: ({ artifact, composeId, size, target }: Delivery<typeof AwsTarget.Type>) => Effect.gen({ self: this }, function*() {
      const done = yield* Deferred.make<void>()
      this.#under.set(composeId, { region: target.region, done })
      this.most.set(target.region, Math.max(this.most.get(target.region) ?? 0, this.under(target.region).length))
      yield* Deferred.await(done)
      this.#under.delete(composeId)
      return { id: `ami-${composeId}`, format: artifact.format, resources: [], bytesSent: size, deliveredAt: Millis.make(Date.now()) }
    })
  }

  under(region: string): ReadonlyArray<string> {
    return [...this.#under].filter(([, each]) => each.region === region).map(([composeId]) => composeId)
  }

  end(composeId: string): Effect.Effect<void> {
    return Effect.asVoid(Deferred.succeed(this.#under.get(composeId)!.done, undefined))
  }
}

const [prague, dublin] = ["eu-central-1", "eu-west-1"]

const asked = Effect.fnUntraced(function*(tenantId: TenantId, region: string) {
  const composeId = ComposeId.make(v7())
  const target = { type: "aws" as const, region, bucket: "images", credentials: "prod" }
  yield* execute({ tenantId, messageId: composeId, at: Millis.make(Date.now()), actor: { kind: "requester", id: "test" } }, RequestCompose.make({
    composeId, builder: "simulated", resolves: false,
    request: { distribution: "test-distro-1", images: [{ architecture: "x86_64", type: "simulated", options: { bytes: 100 }, targets: [target] }] }
  }))
  return { tenantId, composeId }
})
type Asked = Effect.Success<ReturnType<typeof asked>>

const outlookOf = ({ composeId, tenantId }: Asked) =>
  Effect.map(Effect.flatMap(Scheduling, ({ waiting }) => waiting(tenantId, composeId)), ([outlook]) => outlook)

layer(SmallStack, { excludeTestServices: true })("deliveries to an operator's account", (it) => {
  it.effect("given room for one in a region, when two tenants deliver three images there and one elsewhere, then one at a time goes there, the others say so, and elsewhere is free", () =>
    Effect.gen(function*() {
      const { dir } = yield* Folder
      const credentialsFile = join(dir, "limits.json")
      writeFileSync(credentialsFile, JSON.stringify({ prod: { provider: "aws", access_key_id: "a", secret_access_key: "b", region: prague } }), { mode: 0o600 })
      const cloud = new SlowRegions()
      yield* startScheduler("limits", undefined, { targets: { aws: { atOnce: 1 } } })
      for (const name of ["w1", "w2"]) yield* startWorker(name, { credentialsFile, targets: [cloud.target] })
      const [acme, other] = [newTenant(), newTenant()]
      const there = yield* Effect.all([asked(acme, prague), asked(acme, prague), asked(other, prague)])
      const elsewhere = yield* asked(acme, dublin)

      yield* until(Effect.sync(() => cloud.under(dublin)), (under) => under.length === 1)
      let waiting = [...there]
      while (waiting.length > 0) {
        const [going] = yield* until(Effect.sync(() => cloud.under(prague)), (under) => under.length === 1)
        waiting = waiting.filter(({ composeId }) => composeId !== going)
        for (const each of waiting) {
          const outlook = yield* until(outlookOf(each), (outlook) => outlook?.kind === "upload")
          assert.deepInclude(waitingFor(outlook!), { reason: "target-limit", limit: `aws/${prague}/prod`, running: 1, at_most: 1 })
          assert.include(waitingFor(outlook!).message, `waiting for a delivery to aws ${prague} with the credentials prod to end: 1 of at most 1 run`)
        }
        yield* cloud.end(going!)
      }
      for (const { composeId, tenantId } of there) yield* until(stateOf(tenantId, composeId), ({ status }) => status === "succeeded")
      assert.deepStrictEqual(cloud.under(dublin), [elsewhere.composeId])
      yield* cloud.end(elsewhere.composeId)
      yield* until(stateOf(acme, elsewhere.composeId), ({ status }) => status === "succeeded")
      assert.deepStrictEqual(Object.fromEntries(cloud.most), { [prague]: 1, [dublin]: 1 })
    }).pipe(Effect.scoped))

  it.effect("given a cloud that refuses for a while, when it says for how long, then the next attempt is not before that", () =>
    Effect.gen(function*() {
      const { dir } = yield* Folder
      const credentialsFile = join(dir, "throttled.json")
      writeFileSync(credentialsFile, JSON.stringify({ prod: { provider: "aws", access_key_id: "a", secret_access_key: "b", region: prague } }), { mode: 0o600 })
      const throttled = targetFailed("ec2:ImportSnapshot", Object.assign(new Error("no"), { name: "RequestLimitExceeded", $response: { statusCode: 503, headers: { "retry-after": "600" } } }))
      const refusing: SlowRegions["target"] = { ...new SlowRegions().target, deliver: () => Effect.fail(throttled) }
      yield* startScheduler("throttled")
      yield* startWorker("w3", { credentialsFile, targets: [refusing] })
      const { composeId, tenantId } = yield* asked(newTenant(), prague)
      const events = yield* until(historyOf(tenantId, composeId), (all) => all.some(({ _tag }) => _tag === "JobFailed"))
      const failed = events.find((event) => event._tag === "JobFailed")
      assert.deepStrictEqual(failed?.failure, { class: "target-quota", message: "ec2:ImportSnapshot: RequestLimitExceeded: no" })
      const again = events.findLast((event) => event._tag === "JobQueued")
      assert.isAbove(again!.notBefore! - Date.now(), 500_000)
    }).pipe(Effect.scoped))
})
