/** Uploads from the request to the object, through scheduler and worker, to an S3 that fails as it is told. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { v7 } from "uuid"
import { execute } from "../../../apps/execute.ts"
import { CancelCompose, RequestCompose, RetryCompose } from "../../../domain/compose-commands.ts"
import type { Compose } from "../../../domain/compose-state.ts"
import { ComposeId, JobId, Millis, type TenantId } from "../../../domain/ids.ts"
import { Artifacts } from "../../../domain/ports/artifacts.ts"
import { JobFeed, type ProgressReport } from "../../../domain/ports/job-feed.ts"
import type { ImageTarget } from "../../../domain/ports/image-targets.ts"
import type { Target, TargetOf } from "../../../domain/target.ts"
import { s3Target } from "../../../infra/targets/s3/target.ts"
import { Folder, historyOf, newTenant, SmallStack, startScheduler, startWorker, stateOf, until } from "../../support/small-stack.ts"
import { clientOptions } from "../../../infra/targets/aws-identity.ts"
import { s3Keys, s3StandIn } from "../../support/s3-stand-in.ts"

const mebi = 1 << 20
const [first, second] = [JobId.make("0-upload-0"), JobId.make("0-upload-1")]
const actor = { kind: "requester", id: "test" } as const
const intent = (tenantId: TenantId) => ({ tenantId, messageId: v7(), at: Millis.make(Date.now()), actor })
const bucketNamed = (bucket: string): Target => ({ type: "s3", bucket, credentials: "lab", prefix: "images/" })

const requestTo = Effect.fnUntraced(function*(tenantId: TenantId, bytes: number, ...targets: ReadonlyArray<Target>) {
  const composeId = ComposeId.make(v7())
  yield* execute(intent(tenantId), RequestCompose.make({
    composeId, builder: "simulated", resolves: false,
    request: { distribution: "test-distro-1", images: [{ architecture: "x86_64", type: "simulated", options: { bytes }, targets }] }
  }))
  return composeId
})

const scene = Effect.fnUntraced(function*(name: string, targets: ReadonlyArray<ImageTarget> = [s3Target]) {
  const { dir } = yield* Folder
  const s3 = yield* s3StandIn()
  const credentialsFile = join(dir, `${name}.json`)
  writeFileSync(credentialsFile, JSON.stringify({ lab: { provider: "aws", ...s3Keys, region: "eu-central-1", endpoints: { s3: s3.endpoint } } }), { mode: 0o600 })
  yield* startScheduler()
  yield* startWorker(name, { targets, credentialsFile })
  return { s3, bucket: s3.store.make("images", "eu-central-1"), tenantId: newTenant() }
})

const ended = (tenantId: TenantId, composeId: ComposeId) => until(stateOf(tenantId, composeId), ({ status }) => status !== "open" && status !== "absent")
const outcomeOf = ({ outcomes }: Compose, jobId: JobId) => {
  const outcome = outcomes.get(jobId)
  return outcome?._tag === "Uploaded" ? outcome : undefined
}

layer(SmallStack, { excludeTestServices: true })("an upload", (it) => {
  it.effect("given two places, one of which refuses it, when it is delivered, then that target alone has failed, and a retry of its job delivers it without another build", () =>
    Effect.gen(function*() {
      const { bucket, s3, tenantId } = yield* scene("two")
      const composeId = yield* requestTo(tenantId, 33 * mebi, bucketNamed("images"), bucketNamed("later"))
      const before = yield* ended(tenantId, composeId)
      assert.deepStrictEqual([before.status, before.jobs.get(first)!.state, before.jobs.get(second)!.state], ["failed", "succeeded", "failed"])
      const { artifact, copy } = outcomeOf(before, first)!
      assert.deepInclude(copy!, { place: "images", id: `images/test-deployment/${tenantId}/${composeId}/0-upload-0/${artifact.filename}`, digest: artifact.digest, bytesSent: 33 * mebi })
      assert.deepStrictEqual([...bucket.objects.values()].map(({ size }) => size), [33 * mebi])
      const failure = (yield* historyOf(tenantId, composeId)).findLast((event) => event._tag === "JobFailed")!
      assert.deepInclude(failure.failure, { class: "user", message: "s3:CreateMultipartUpload: NoSuchBucket: The specified bucket does not exist" })
      const later = s3.store.make("later", "eu-central-1")
      yield* execute(intent(tenantId), RetryCompose.make({ composeId, jobId: second }))
      const after = yield* ended(tenantId, composeId)
      assert.deepStrictEqual([after.status, later.objects.size, later.uploads.size, after.jobs.get(JobId.make("0-build"))!.attempt], ["succeeded", 1, 0, 1])
      const history = yield* historyOf(tenantId, composeId)
      const calls = (jobId: JobId) => history.map((event) =>
        (event._tag === "JobSucceeded" || event._tag === "JobFailed") && event.jobId === jobId ? event.spent?.cloudCalls ?? 0 : 0)
      assert.deepStrictEqual([...calls(first), ...calls(second)].reduce((sum, each) => sum + each), s3.asked.length)
      assert.isAtLeast(history.findLast((event) => event._tag === "JobFailed")!.spent!.cloudCalls!, 1)
      // Nothing of the credentials is in the log.
      assert.notInclude(JSON.stringify(yield* historyOf(tenantId, composeId)), s3Keys.secret_access_key)
    }))

  it.effect("given a store that is not itself for a while, when the job is tried again, then what was sent is not sent again, and how fast it goes is told", () =>
    Effect.gen(function*() {
      const { bucket, s3, tenantId } = yield* scene("again")
      // As often as the client tries by itself.
      let times = 0
      s3.fault = ({ operation }) => (operation === "CompleteMultipartUpload" && ++times <= clientOptions({}).maxAttempts ? { refuse: "InternalError", status: 500 } : undefined)
      const composeId = yield* requestTo(tenantId, 50 * mebi, bucketNamed("images"))
      const state = yield* ended(tenantId, composeId)
      assert.deepStrictEqual([state.status, state.jobs.get(first)!.attempt, s3.bytesKept], ["succeeded", 2, 50 * mebi])
      assert.deepStrictEqual([bucket.objects.size, bucket.uploads.size], [1, 0])
      const [failed, succeeded] = (yield* historyOf(tenantId, composeId)).filter((event) => (event._tag === "JobSucceeded" || event._tag === "JobFailed") && event.jobId === first)
        .map((event) => ("spent" in event ? event.spent?.bytesSent : undefined) ?? 0)
      assert.isTrue(failed! >= 50 * mebi && failed! < 51 * mebi, `${failed} bytes sent by the attempt that failed`)
      assert.isTrue(succeeded! > 0 && succeeded! < mebi, `${succeeded} bytes sent by the one that had only to end it`)
      const recent = yield* (yield* JobFeed).recent(tenantId, composeId, 0)
      const progress = recent.filter((item): item is ProgressReport => item._tag === "ProgressReport" && item.jobId === first)
      assert.strictEqual(progress.at(-1)?.progress.stage, "upload")
    }))

  it.effect("given an upload in the midst of its bytes, when the compose is canceled, then nothing is left in the bucket", () =>
    Effect.gen(function*() {
      const { bucket, s3, tenantId } = yield* scene("cancel")
      const reached = Promise.withResolvers<void>()
      s3.fault = ({ operation, query }) => {
        if (operation !== "UploadPart" || query.get("partNumber") !== "2") return undefined
        reached.resolve()
        return { wait: new Promise(() => {}) }
      }
      const composeId = yield* requestTo(tenantId, 50 * mebi, bucketNamed("images"))
      yield* Effect.promise(() => reached.promise)
      assert.strictEqual(bucket.uploads.size, 1)
      yield* execute(intent(tenantId), CancelCompose.make({ composeId }))
      yield* until(Effect.sync(() => bucket.uploads.size), (open) => open === 0)
      assert.strictEqual(bucket.objects.size, 0)
    }))

  it.effect("given a target that wants another format, when two deliveries of one image want it, then it is made once and both get it", () =>
    Effect.gen(function*() {
      const seen: Array<{ readonly sha256: string; readonly size: number; readonly path: string }> = []
      const wants: ImageTarget<TargetOf<"s3">> = {
        ...s3Target,
        format: () => Effect.succeed("vhd"),
        deliver: (delivery, journal, report) => {
          const { path, sha256, size } = delivery
          seen.push({ path, sha256, size })
          return s3Target.deliver(delivery, journal, report)
        }
      }
      const { bucket, tenantId } = yield* scene("format", [wants])
      const composeId = yield* requestTo(tenantId, 2 * mebi, bucketNamed("images"), bucketNamed("images"))
      const state = yield* ended(tenantId, composeId)
      assert.strictEqual(state.status, "succeeded")
      assert.deepStrictEqual(seen.map(({ size }) => size), [2 * mebi + 512, 2 * mebi + 512])
      assert.strictEqual(seen[0]!.sha256, seen[1]!.sha256)
      const bytes = [...bucket.objects.values()].map((object) => Buffer.concat([...object.bytes]).subarray(-512, -504).toString())
      assert.deepStrictEqual(bytes, ["conectix", "conectix"])
      const said = yield* (yield* JobFeed).recent(tenantId, composeId, 0)
      assert.strictEqual(said.flatMap((item) => item._tag === "LogLines" ? item.lines : []).filter((line) => line === "converting from raw to vhd").length, 1)
      assert.isUndefined(yield* (yield* Artifacts).size(outcomeOf(state, first)!.artifact.digest), "Kiln's own store was not asked for")
    }))
})
