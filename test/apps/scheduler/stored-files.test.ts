/** A file that was stored before, on its way to the build that names it. */
import { randomBytes } from "node:crypto"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { v7 } from "uuid"
import { execute } from "../../../apps/execute.ts"
import { ComposeCache } from "../../../apps/scheduler/compose-cache.ts"
import { filePartFor } from "../../../apps/scheduler/file-parts.ts"
import { RequestCompose, StartJob } from "../../../domain/compose-commands.ts"
import { AttemptToken, ComposeId, Digest, JobId, Millis, PoolScope, type TenantId, WorkerId } from "../../../domain/ids.ts"
import { partBytes, StoredFiles } from "../../../domain/ports/stored-files.ts"
import { newTenant, SmallStack, startScheduler, startWorker, stateOf, until } from "../../support/small-stack.ts"

const build = JobId.make("0-build")
const by = { storedAt: Millis.make(1), storedBy: "ann" }
const intent = (tenantId: TenantId, messageId: string) => ({ tenantId, messageId, at: Millis.make(Date.now()), actor: { kind: "requester" as const, id: "test" } })

const requested = Effect.fnUntraced(function*(tenantId: TenantId, digest: Digest) {
  const composeId = ComposeId.make(v7())
  yield* execute(intent(tenantId, `request-${composeId}`), RequestCompose.make({
    composeId, builder: "simulated", resolves: false,
    request: {
      distribution: "test-distro-1", images: [{ architecture: "x86_64", type: "simulated", options: { bytes: 10 } }],
      customizations: { files: [{ path: "/opt/tool", digest }] }
    }
  }))
  return composeId
})
const ended = (tenantId: TenantId, id: ComposeId) => until(stateOf(tenantId, id), ({ status }) => status !== "open")

layer(SmallStack, { excludeTestServices: true })("a stored file", (it) => {
  it.effect("given a request that names it, then its bytes are in the image, however many messages they take", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      yield* startWorker()
      const tenantId = newTenant()
      for (const size of [0, 3, 2 * partBytes, 2 * partBytes + 7]) {
        const { digest } = yield* (yield* StoredFiles).put(tenantId, randomBytes(size), by)
        const { outcomes } = yield* ended(tenantId, yield* requested(tenantId, digest))
        const built = outcomes.get(build)
        assert.strictEqual(built?._tag === "Built" && built.artifact.size, 10 + size)
      }
    }))

  it.effect("given it was removed, or is another tenant's, then the build fails by the user's fault, and says which", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      yield* startWorker("w2")
      const [tenantId, files] = [newTenant(), yield* StoredFiles]
      const { digest } = yield* files.put(newTenant(), Buffer.from("of another"), by)
      const { jobs, status } = yield* ended(tenantId, yield* requested(tenantId, digest))
      assert.deepStrictEqual([status, jobs.get(build)?.attempt], ["failed", 1])
    }))

  it.effect("given a worker that does not run the build, or asks for a file that the request does not name, then it gets nothing", () =>
    Effect.gen(function*() {
      const [tenantId, files, worker] = [newTenant(), yield* StoredFiles, WorkerId.make("w3")]
      const speaker = { scope: PoolScope.make("default"), worker }
      const { digest } = yield* files.put(tenantId, Buffer.from("named"), by)
      const other = yield* files.put(tenantId, Buffer.from("not named"), by)
      const composeId = yield* requested(tenantId, digest)
      const token = AttemptToken.make("t".repeat(30))
      const claim = { tenantId, composeId, jobId: build, attempt: 1, token }
      const ask = (who = speaker, what = digest, how = claim) => filePartFor(new ComposeCache(), who, how, { digest: what, index: 0 })
      assert.isUndefined(yield* ask())
      yield* execute(intent(tenantId, "start"), StartJob.make({ composeId, jobId: build, attempt: 1, worker, token }))
      assert.strictEqual(Buffer.from((yield* ask()) as Uint8Array).toString(), "named")
      assert.isUndefined(yield* ask({ ...speaker, worker: WorkerId.make("w4") }))
      assert.isUndefined(yield* ask(speaker, other.digest))
      assert.isUndefined(yield* ask(speaker, digest, { ...claim, token: AttemptToken.make("u".repeat(30)) }))
    }))
})
