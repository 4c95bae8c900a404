/** The trials at real clouds, here with stand-ins for them: that they run through, and leave nothing behind when they do not. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import type { Credentials } from "../../../domain/credentials.ts"
import { BuildFailed } from "../../../domain/ports/image-builder.ts"
import type { ImageTarget } from "../../../domain/ports/image-targets.ts"
import type { Target } from "../../../domain/target.ts"
import { azureTargetWith } from "../../../infra/targets/azure/target.ts"
import { gcpTargetWith } from "../../../infra/targets/gcp/target.ts"
import { awsCloud, quickTarget, targetOf } from "../../support/aws-cloud.ts"
import { azureStandIn } from "../../support/azure-stand-in.ts"
import { deployment } from "../../support/deliver.ts"
import { gcpStandIn } from "../../support/gcp-stand-in.ts"
import { liveTrial } from "../../support/live-trial.ts"
import { needs } from "../../support/needs.ts"
import { account, container } from "../../support/page-blob-stand-in.ts"

const tuning = { pauseMs: 5, pollMs: 1, chunkSize: 256 * 1024, workers: 2 }

/** Runs through; and fails when all is made. `made`: how many images there have been; `left`: what lies there yet. */
const tried = Effect.fnUntraced(function*<Of extends Target>(to: ImageTarget<Of>, target: Of, credentials: Credentials, made: () => number, left: () => number) {
  yield* liveTrial(to, target, credentials)
  assert.deepStrictEqual([made(), left()], [1, 0])
  const broken: ImageTarget<Of> = {
    ...to, deliver: (delivery, journal, report) => Effect.andThen(to.deliver(delivery, journal, report), Effect.fail(new BuildFailed({ class: "platform", message: "no more" })))
  }
  assert.isTrue(Exit.isFailure(yield* Effect.exit(liveTrial(broken, target, credentials))))
  assert.deepStrictEqual([made(), left()], [2, 0])
  assert.deepStrictEqual(yield* to.marked(target, credentials, deployment), [])
})

describe("a trial of a delivery", () => {
  needs("qemu-img", "pigz", "tar")

  it.live("given Amazon's cloud, then it makes one image and its copy, and takes them away, also when it fails", () =>
    Effect.gen(function*() {
      const { cloud, credentials, objects, uploads } = yield* awsCloud()
      const left = () => cloud.images.length + cloud.snapshots.length + objects.size + uploads.size
      yield* tried(quickTarget, targetOf({ copy_to_regions: ["us-east-1"] }), credentials, () => cloud.tasks.length, left)
    }))

  it.live("given Google's cloud, then it makes one image and takes it away, also when it fails", () =>
    Effect.gen(function*() {
      const { credentials, gce, gcs } = yield* gcpStandIn
      yield* tried(gcpTargetWith(tuning), { type: "gcp", bucket: "example-images" }, credentials(), () => gce.inserts(), () => gce.images.size + gcs.objects.size)
    }))

  it.live("given Azure's cloud, then it makes one image and takes it away, also when it fails", () =>
    Effect.gen(function*() {
      const { arm, blobs, ca, credentials, place } = yield* azureStandIn
      const target = { type: "azure", ...place, storage_account: account, container } as const
      yield* tried(azureTargetWith({ ...tuning, ca }), target, credentials(), () => arm.puts(), () => arm.ofKind("images").length + blobs.blobs.size)
    }))
})
