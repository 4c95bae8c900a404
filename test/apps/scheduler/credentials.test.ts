/** What a worker is handed for a delivery, and who is handed nothing. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { executeOnCredentials } from "../../../apps/credentials.ts"
import { secretsFor } from "../../../apps/scheduler/secrets.ts"
import { type ComposeEvent, ComposeCanceled, ComposeRequested, JobQueued, JobStarted, JobSucceeded } from "../../../domain/compose-events.ts"
import { RemoveCredentials, SetCredentials } from "../../../domain/credential-sets.ts"
import { AttemptToken, JobId, Millis, PoolScope, TenantId, WorkerId } from "../../../domain/ids.ts"
import { EventLog } from "../../../domain/ports/event-log.ts"
import { Sealer } from "../../../domain/ports/sealer.ts"
import { composeRef } from "../../../domain/recorded.ts"
import { SealerFiles } from "../../../infra/keys/sealer-files.ts"
import { EventLogInMemory } from "../../../infra/memory/event-log.ts"
import { artifact, composeId, digest, tenantId } from "../../support/composes.ts"
import { temporaryFolder } from "../../support/servers.ts"

const image = {
  architecture: "x86_64" as const, type: "simulated",
  targets: [{ type: "s3" as const, bucket: "images", credentials: "prod" }, { type: "s3" as const, bucket: "images", credentials: "elsewhere" }, { type: "file" as const }]
}
const worker = WorkerId.make("w1")
const speaker = { scope: PoolScope.make("default"), worker }
const tokenOf = (jobId: JobId) => AttemptToken.make(`token-of-${jobId}`.padEnd(24, "-"))
const claim = (jobId: JobId) => ({ tenantId, composeId, jobId, attempt: 1, token: tokenOf(jobId) })
const [build, ...uploads] = ["0-build", "0-upload-0", "0-upload-1", "0-upload-2"].map((id) => JobId.make(id)) as [JobId, JobId, JobId, JobId]

const queued = (jobId: JobId) => JobQueued.make({ composeId, jobId, attempt: 1, kind: jobId === build ? "build" : "upload", image: 0, request: image, distribution: "d" })
const started = (jobId: JobId) => JobStarted.make({ composeId, jobId, attempt: 1, worker, token: tokenOf(jobId) })
const built = JobSucceeded.make({ composeId, jobId: build, attempt: 1, outcome: { _tag: "Built", manifest: digest, artifact, heldBy: worker, reused: false } })
const underWay: ReadonlyArray<ComposeEvent> = [
  ComposeRequested.make({ composeId, builder: "simulated", resolves: false, request: { distribution: "d", images: [image] } }),
  queued(build), started(build), built, ...uploads.flatMap((jobId) => [queued(jobId), started(jobId)])
]

const actor = { kind: "system", id: "test" } as const
const intent = (tenant: TenantId) => ({ tenantId: tenant, messageId: String(Math.random()), at: Millis.make(0), actor })
const given = Effect.fnUntraced(function*(...events: ReadonlyArray<ComposeEvent>) {
  const sealed = yield* (yield* Sealer).seal(tenantId, "the keys")
  yield* executeOnCredentials(intent(tenantId), SetCredentials.make({ name: "prod", provider: "aws", fields: [], sealed }))
  yield* (yield* EventLog).append(composeRef(tenantId, composeId), 0, { ...intent(tenantId), events: events as [ComposeEvent, ...Array<ComposeEvent>] })
})
const handed = (jobId: JobId, to: Partial<typeof speaker> = {}, as: Partial<ReturnType<typeof claim>> = {}) =>
  Effect.map(secretsFor({ ...speaker, ...to }, { ...claim(jobId), ...as }), (secrets) => secrets && Object.fromEntries(secrets))

const test = <A, E>(effect: Effect.Effect<A, E, EventLog | Sealer>) =>
  Effect.flatMap(temporaryFolder, (folder) => Effect.provide(effect, Layer.merge(EventLogInMemory, SealerFiles(folder)))).pipe(Effect.scoped)

describe("a worker that holds an upload", () => {
  it.effect("given a set that its target names, when it asks, then it gets that set and nothing else", () =>
    test(Effect.gen(function*() {
      yield* given(...underWay)
      assert.deepStrictEqual(yield* handed(uploads[0]!), { credentials: "the keys" })
      assert.deepStrictEqual(yield* handed(uploads[1]!), {})
      assert.deepStrictEqual(yield* handed(uploads[2]!), {})
      assert.isUndefined(yield* handed(build))
    })))

  it.effect("given somebody else, an attempt of before or a compose that is over, when it asks, then it gets nothing", () =>
    test(Effect.gen(function*() {
      yield* given(...underWay)
      assert.isUndefined(yield* handed(uploads[0]!, { worker: WorkerId.make("w2") }))
      assert.isUndefined(yield* handed(uploads[0]!, {}, { attempt: 2 }))
      assert.isUndefined(yield* handed(uploads[0]!, {}, { token: tokenOf(uploads[1]!) }))
      assert.isUndefined(yield* handed(uploads[0]!, {}, { tenantId: TenantId.make("beta") }))
      yield* (yield* EventLog).append(composeRef(tenantId, composeId), 1, { ...intent(tenantId), events: [ComposeCanceled.make({ composeId })] })
      assert.isUndefined(yield* handed(uploads[0]!))
    })))

  it.effect("given a set that was removed meanwhile, when it asks, then it is not handed out any more", () =>
    test(Effect.gen(function*() {
      yield* given(...underWay)
      yield* executeOnCredentials(intent(tenantId), RemoveCredentials.make({ name: "prod" }))
      assert.deepStrictEqual(yield* handed(uploads[0]!), {})
    })))
})
