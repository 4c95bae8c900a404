/** What crashes left behind in a cloud, from the sweep to its end; the worker asks the cloud, the scheduler decides. */
import { createHash } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { v7 } from "uuid"
import { execute } from "../../../apps/execute.ts"
import { CancelCompose, RequestCompose } from "../../../domain/compose-commands.ts"
import { ComposeId, JobId, Millis, TenantId } from "../../../domain/ids.ts"
import { EventLog } from "../../../domain/ports/event-log.ts"
import type { ImageTarget } from "../../../domain/ports/image-targets.ts"
import { Scheduling } from "../../../domain/ports/scheduling.ts"
import { composeRef } from "../../../domain/recorded.ts"
import type { TargetOf } from "../../../domain/target.ts"
import { s3Target } from "../../../infra/targets/s3/target.ts"
import { s3Keys, s3StandIn } from "../../support/s3-stand-in.ts"
import type { StoredObject } from "../../support/s3-store.ts"
import { Folder, historyOf, newTenant, SmallStack, startScheduler, startWorker, stateOf, until } from "../../support/small-stack.ts"

const upload = JobId.make("0-upload-0")
const intent = (tenantId: TenantId) => ({ tenantId, messageId: v7(), at: Millis.make(Date.now()), actor: { kind: "requester", id: "test" } as const })
const start = startScheduler("reaper", undefined, {}, undefined, undefined, undefined, 0)

/** Says nothing any more once all is there, until it is killed. */
const silentAtTheEnd: ImageTarget<TargetOf<"s3">> = { ...s3Target, deliver: (...given) => Effect.andThen(s3Target.deliver(...given), Effect.never) }

const request = Effect.fnUntraced(function*(tenantId: TenantId, bytes: number) {
  const composeId = ComposeId.make(v7())
  yield* execute(intent(tenantId), RequestCompose.make({
    composeId, builder: "simulated", resolves: false,
    request: { distribution: "test-distro-1", images: [{ architecture: "x86_64", type: "simulated", options: { bytes }, targets: [{ type: "s3", bucket: "images", credentials: "lab" }] }] }
  }))
  return composeId
})

const swept = Effect.fnUntraced(function*(tenantId: TenantId, dryRun = false) {
  const scheduling = yield* Scheduling
  yield* until(Effect.orElseSucceed(scheduling.reaper({ tenantId, dryRun }), () => undefined), (report) => report !== undefined)
  return yield* until(scheduling.reaper(), ({ running }) => !running)
})

layer(SmallStack, { excludeTestServices: true })("the reaper", (it) => {
  it.effect("given an object that a killed delivery has left, when two sweeps have seen it, then it is gone and on record, and copies, running uploads and others' things are there", () =>
    Effect.gen(function*() {
      const { dir } = yield* Folder
      const s3 = yield* s3StandIn()
      const { objects } = s3.store.make("images", "eu-central-1")
      const credentialsFile = join(dir, "reaper.json")
      writeFileSync(credentialsFile, JSON.stringify({ lab: { provider: "aws", ...s3Keys, region: "eu-central-1", endpoints: { s3: s3.endpoint } } }), { mode: 0o600 })
      const of = (composeId: ComposeId) => [...objects.keys()].filter((key) => key.includes(composeId))
      const put = (key: string) => objects.set(key, { key, size: 1, etag: createHash("md5").update(key).digest("hex"), bytes: [Buffer.from("x")], headers: {}, at: Date.now() } satisfies StoredObject)
      const tenantId = newTenant()
      const scheduler = yield* start

      const first = yield* startWorker("w1", { targets: [silentAtTheEnd], credentialsFile })
      const left = yield* request(tenantId, 70_101)
      yield* until(Effect.sync(() => of(left)), ({ length }) => length === 1)
      yield* first.stop
      yield* execute(intent(tenantId), CancelCompose.make({ composeId: left }))

      const second = yield* startWorker("w2", { targets: [s3Target], credentialsFile })
      const copied = yield* request(tenantId, 70_102)
      yield* until(stateOf(tenantId, copied), ({ status }) => status === "succeeded")
      yield* second.stop
      yield* startWorker("w3", { targets: [silentAtTheEnd], credentialsFile })
      const running = yield* request(tenantId, 70_103)
      yield* until(Effect.sync(() => of(running)), ({ length }) => length === 1)
      const [strange, others] = [ComposeId.make(v7()), ComposeId.make(v7())]
      put(`test-deployment/${tenantId}/${strange}/0-upload-0/a.raw`)
      put(`test-deployment/ghost/${others}/0-upload-0/a.raw`)
      put(`elsewhere/${tenantId}/${left}/0-upload-0/a.raw`)
      const before = [...objects.keys()].toSorted()

      const said = (report: Effect.Success<ReturnType<typeof swept>>) : Record<string, string> => Object.fromEntries(report.leftovers.map(({ composeId, verdict }) => [composeId, verdict]))
      const dry = yield* swept(tenantId, true)
      assert.deepStrictEqual(said(dry), { [left]: "noted", [strange]: "unknown", [others]: "unknown" })
      assert.deepStrictEqual(dry.places.map(({ place, problem, things }) => ({ place, problem, things })), [{ place: "images", problem: undefined, things: 5 }])
      const noted = yield* swept(tenantId)
      assert.strictEqual(said(noted)[left], "noted")
      assert.deepStrictEqual([...objects.keys()].toSorted(), before)

      // The note outlives whoever made it.
      yield* scheduler.stop
      yield* start
      const due = yield* until(swept(tenantId, true), ({ places }) => places.length > 0 && places[0]!.problem === undefined)
      assert.strictEqual(said(due)[left], "due")
      assert.deepStrictEqual([...objects.keys()].toSorted(), before)

      const last = yield* swept(tenantId)
      assert.deepStrictEqual(said(last), { [left]: "removed", [strange]: "unknown", [others]: "unknown" })
      assert.deepStrictEqual([...objects.keys()].toSorted(), before.filter((key) => !key.startsWith(`test-deployment/${tenantId}/${left}/`)))
      const { recorded } = yield* (yield* EventLog).read(composeRef(tenantId, left))
      const { actor, events: [event] } = recorded.at(-1)!
      assert.deepStrictEqual([actor, event._tag === "LeftoversCondemned" && event.resources.map(({ kind }) => kind)], [{ kind: "system", id: "reaper" }, ["object"]])
      assert.strictEqual((yield* stateOf(tenantId, left)).status, "canceled")
      for (const each of [copied, running]) assert.notInclude((yield* historyOf(tenantId, each)).map(({ _tag }) => _tag), "LeftoversCondemned")
      assert.strictEqual((yield* stateOf(tenantId, running)).jobs.get(upload)!.state, "running")
      assert.isFalse(left in said(yield* swept(tenantId)))
    }).pipe(Effect.scoped))

  it.effect("given a cloud that refuses, or nobody who could ask it, then a sweep says so and goes on", () =>
    Effect.gen(function*() {
      const { dir } = yield* Folder
      const s3 = yield* s3StandIn()
      const { objects } = s3.store.make("images", "eu-central-1")
      const credentialsFile = join(dir, "reaper-refused.json")
      writeFileSync(credentialsFile, JSON.stringify({ lab: { provider: "aws", ...s3Keys, region: "eu-central-1", endpoints: { s3: s3.endpoint } } }), { mode: 0o600 })
      const tenantId = newTenant()
      yield* start
      const first = yield* startWorker("w5", { targets: [silentAtTheEnd], credentialsFile })
      const left = yield* request(tenantId, 70_111)
      yield* until(Effect.sync(() => objects.size), (size) => size === 1)
      yield* first.stop
      yield* execute(intent(tenantId), CancelCompose.make({ composeId: left }))
      const alone = yield* swept(tenantId)
      assert.match(alone.places[0]!.problem!, /no worker|no set of credentials|has a set of credentials/)

      yield* startWorker("w6", { targets: [s3Target], credentialsFile })
      yield* until(swept(tenantId), ({ leftovers: [one] }) => one?.verdict === "noted")
      s3.fault = ({ operation }) => operation === "DeleteObject" ? { refuse: "AccessDenied", status: 403 } : undefined
      const refused = yield* swept(tenantId)
      assert.deepStrictEqual([refused.leftovers[0]!.verdict, objects.size], ["failed", 1])
      assert.include(refused.leftovers[0]!.problem, "AccessDenied")
      s3.fault = () => undefined
      assert.deepStrictEqual([(yield* swept(tenantId)).leftovers[0]!.verdict, objects.size], ["removed", 0])
      // On record each time that it is tried: until then the delivery is not.
      assert.strictEqual((yield* historyOf(tenantId, left)).filter((event) => event._tag === "LeftoversCondemned" && event.until !== undefined).length, 2)
    }).pipe(Effect.scoped))
})
