/** A worker in a process of its own, which a test may kill: Kiln's, with targets that neither pause nor send large parts, and a builder of small disks. */
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Effect, Layer } from "effect"
import { PoolScope, WorkerId } from "../../domain/ids.ts"
import { ImageBuilders } from "../../domain/ports/image-builder.ts"
import { ImageContentsTools } from "../../infra/contents/image-contents.ts"
import { ArtifactsFiles } from "../../infra/files/artifacts-files.ts"
import { HeldImagesFiles } from "../../infra/files/held-images-files.ts"
import { WorkplaceJetStream } from "../../infra/jetstream/workplace.ts"
import { ImageTestsInMemory } from "../../infra/memory/image-tests.ts"
import { simulatedBuilder } from "../../infra/simulated/simulated-builder.ts"
import { azureTargetWith } from "../../infra/targets/azure/target.ts"
import { gcpTargetWith } from "../../infra/targets/gcp/target.ts"
import { ociTarget } from "../../infra/targets/oci/target.ts"
import { s3TargetWith } from "../../infra/targets/s3/target.ts"
import { runWorker } from "../../apps/worker/worker.ts"
import { diskSaying, mebi, quickTarget } from "./aws-cloud.ts"
import { targetsOfTest } from "./targets.ts"

export interface WorkerProcess {
  readonly servers: string
  readonly name: string
  readonly scope: string
  /** The worker's own; what it holds outlives it. */
  readonly dir: string
  readonly credentialsFile: string
  /** Of the stand-in for Azure. */
  readonly ca: string
}

const { ca, credentialsFile, dir, name, scope, servers } = JSON.parse(process.argv[2]!) as WorkerProcess
const pool = PoolScope.make(scope)
const minute = 60_000

/** In two parts and a bit, whatever was asked for. */
const builder = {
  ...simulatedBuilder,
  build: (_manifest: unknown, _secrets: unknown, workspace: string) =>
    Effect.promise(async () => {
      const path = join(workspace, "disk.raw")
      await writeFile(path, diskSaying("killed", 2 * mebi + 65_536))
      return { path, format: "raw", filename: "disk.raw", mediaType: "application/octet-stream" }
    })
}

const targets = [
  s3TargetWith({ partSize: mebi }), quickTarget, gcpTargetWith({ pauseMs: 5, pollMs: 1, chunkSize: 1024 * 1024 }),
  azureTargetWith({ pauseMs: 5, pollMs: 1, workers: 3, ca }), ociTarget({ privateHosts: true, chunkBytes: mebi })
]

await Effect.runPromise(runWorker({
  abilities: { architectures: ["x86_64"], slots: { resolve: 1, build: 1, upload: 5, delete: 2 } }, workDir: join(dir, "work"),
  deadlines: { resolve: minute, build: minute, test: minute, upload: minute, delete: minute }, version: "test", deployment: "test-deployment"
}).pipe(Effect.provide(Layer.mergeAll(
  WorkplaceJetStream({ servers, scope: pool, worker: WorkerId.make(name), token: () => `pool:${scope}` }),
  HeldImagesFiles(join(dir, "held")), ArtifactsFiles(join(dir, "artifacts")),
  ImageTestsInMemory(() => undefined), ImageContentsTools,
  Layer.succeed(ImageBuilders, ImageBuilders.of({ builders: new Map([[builder.name, builder]]) })),
  targetsOfTest({ credentialsFile, targets }, dir)
))))
