/** Sets of credentials that only some workers have: who is sent to try a target or sign a link, and to whom deliveries and removals go. */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { v7 } from "uuid"
import { execute } from "../../../apps/execute.ts"
import { RemoveCopy, RequestCompose } from "../../../domain/compose-commands.ts"
import { AskedErrand } from "../../../domain/errand.ts"
import { ComposeId, JobId, Millis, type TenantId } from "../../../domain/ids.ts"
import { Scheduling } from "../../../domain/ports/scheduling.ts"
import { s3Target } from "../../../infra/targets/s3/target.ts"
import { s3Keys, s3StandIn } from "../../support/s3-stand-in.ts"
import { Folder, newTenant, SmallStack, startScheduler, startWorker, stateOf, until } from "../../support/small-stack.ts"

const target = { type: "s3", bucket: "images", credentials: "lab" } as const
const intent = (tenantId: TenantId) =>
  ({ tenantId, messageId: v7(), at: Millis.make(Date.now()), actor: { kind: "requester", id: "test" } as const })

const request = Effect.fnUntraced(function*(tenantId: TenantId) {
  const composeId = ComposeId.make(v7())
  yield* execute(intent(tenantId), RequestCompose.make({
    composeId, builder: "simulated", resolves: false,
    request: { distribution: "test-distro-1", images: [{ architecture: "x86_64", type: "simulated", targets: [target] }] }
  }))
  return composeId
})

/** A worker without sets, and what gives the set `lab` to another. */
const scene = Effect.gen(function*() {
  const { dir } = yield* Folder
  const s3 = yield* s3StandIn()
  const { objects, uploads } = s3.store.make("images", "eu-central-1")
  mkdirSync(dir, { recursive: true })
  const credentialsFile = join(dir, `${v7()}.json`)
  const set = { provider: "aws", ...s3Keys, region: "eu-central-1", endpoints: { s3: s3.endpoint } }
  writeFileSync(credentialsFile, JSON.stringify({ lab: set }), { mode: 0o600 })
  yield* startScheduler()
  const abilities = { slots: { resolve: 1, build: 2, upload: 2, delete: 2 } }
  yield* startWorker("bare", { abilities, targets: [s3Target] })
  const holder = (name: string) => startWorker(name, { abilities, targets: [s3Target], credentialsFile })
  const known = (name: string) => Effect.flatMap(Scheduling, (scheduling) =>
    until(Effect.orElseSucceed(scheduling.workers(), () => []), (all) => all.some(({ abilities, worker }) => worker === name && abilities !== undefined)))
  return { holder, known, objects, uploads }
})

layer(SmallStack, { excludeTestServices: true })("a set of credentials that one worker has", (it) => {
  it.effect("given a target that names it, when that is tried or a link is asked for, then that worker is sent and named", () =>
    Effect.gen(function*() {
      const { holder, known, objects, uploads } = yield* scene
      const scheduling = yield* Scheduling
      const tenantId = newTenant()
      yield* known("bare")
      const nobody = yield* scheduling.errand(tenantId, AskedErrand.cases.Check.make({ target }))
      assert.isUndefined(nobody.worker)
      assert.match(JSON.stringify(nobody.answer), /neither the tenant nor a worker that is there/)

      yield* holder("keeper")
      yield* known("keeper")
      const checked = yield* scheduling.errand(tenantId, AskedErrand.cases.Check.make({ target }))
      assert.deepStrictEqual(checked, { worker: "keeper", answer: { _tag: "Checked", obstacles: [] } } as never)
      const wrong = yield* scheduling.errand(tenantId, AskedErrand.cases.Check.make({ target: { ...target, bucket: "nowhere" } }))
      assert.match(JSON.stringify(wrong), /"worker":"keeper".*(NoSuchBucket|NotFound)/)
      assert.deepStrictEqual([objects.size, uploads.size], [0, 0])

      const composeId = yield* request(tenantId)
      const { outcomes } = yield* until(stateOf(tenantId, composeId), ({ status }) => status === "succeeded")
      const uploaded = outcomes.get(JobId.make("0-upload-0"))
      const copy = uploaded?._tag === "Uploaded" ? uploaded.copy! : assert.fail("nothing was uploaded")
      const link = yield* scheduling.errand(tenantId, AskedErrand.cases.Link.make({ target, copy, seconds: 60 }))
      const url = link.answer._tag === "Linked" ? link.answer.url : assert.fail(JSON.stringify(link))
      assert.strictEqual((yield* Effect.promise(async () => (await fetch(url)).arrayBuffer())).byteLength, 1024)
    }).pipe(Effect.scoped))

  it.effect("given workers without it, when an image is to go there, then it waits for the one that has it, is built there, goes there and goes away again", () =>
    Effect.gen(function*() {
      const { holder, known, objects } = yield* scene
      const scheduling = yield* Scheduling
      const tenantId = newTenant()
      yield* known("bare")
      const first = yield* holder("keeper")
      yield* known("keeper")

      const composes = yield* Effect.forEach([1, 2, 3, 4], () => request(tenantId))
      const done = yield* Effect.forEach(composes, (id) => until(stateOf(tenantId, id), ({ status }) => status !== "open"))
      assert.deepStrictEqual(done.map(({ status }) => status), ["succeeded", "succeeded", "succeeded", "succeeded"])
      assert.strictEqual(objects.size, 4)

      yield* first.stop
      yield* until(Effect.orElseSucceed(scheduling.workers(), () => []), (all) => all.some(({ state, worker }) => worker === "keeper" && state === "draining"))
      yield* execute(intent(tenantId), RemoveCopy.make({ composeId: composes[0]!, image: 0, target: 0, reason: "asked" }))
      const late = yield* request(tenantId)
      const waits = (composeId: ComposeId) => until(Effect.orElseSucceed(scheduling.waiting(tenantId, composeId), () => []), ({ length }) => length === 1)
      const [removal] = yield* waits(composes[0]!)
      assert.deepInclude(removal, { kind: "delete", reason: "worker", sets: ["lab"] })
      const [build] = yield* waits(late)
      assert.deepInclude(build, { kind: "build", reason: "worker", sets: ["lab"] })

      yield* holder("keeper-2")
      const isThere = (composeId: ComposeId) => [...objects.keys()].some((key) => key.includes(composeId))
      yield* until(Effect.sync(() => isThere(composes[0]!)), (there) => !there)
      assert.strictEqual((yield* until(stateOf(tenantId, late), ({ status }) => status !== "open")).status, "succeeded")
    }).pipe(Effect.scoped))
})
