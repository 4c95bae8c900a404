import { readFileSync } from "node:fs"
import { Config, Effect, Layer, Schema } from "effect"
import { PoolId, WorkerId } from "../../domain/ids.ts"
import { JobKind } from "../../domain/job.ts"
import { ImageBuilders } from "../../domain/ports/image-builder.ts"
import { debianBuilder } from "../../infra/debian/builder.ts"
import { debianConfigOf } from "../../infra/debian/config.ts"
import { ArtifactsFiles } from "../../infra/files/artifacts-files.ts"
import { HeldImagesFiles } from "../../infra/files/held-images-files.ts"
import { WorkplaceJetStream } from "../../infra/jetstream/workplace.ts"
import { simulatedBuilder } from "../../infra/simulated/simulated-builder.ts"
import { AdminServer } from "../../infra/http/admin-server.ts"
import { runProcess } from "../process.ts"
import { runWorker } from "./worker.ts"

const minutes = (count: number) => count * 60_000
const Slots = Schema.fromJsonString(Schema.Record(JobKind, Schema.Int))

const settings = Config.all({
  servers: Config.String("KILN_NATS_URL"),
  tokenFile: Config.String("KILN_WORKER_TOKEN_FILE"),
  pool: Config.schema(PoolId, "KILN_POOL").pipe(Config.withDefault(PoolId.make("default"))),
  worker: Config.schema(WorkerId, "KILN_WORKER"),
  cache: Config.String("KILN_CACHE"),
  workDir: Config.String("KILN_WORK"),
  artifacts: Config.String("KILN_ARTIFACTS"),
  /** How many jobs of each kind at once, as JSON. */
  slots: Config.schema(Slots, "KILN_SLOTS").pipe(Config.withDefault({ resolve: 2, build: 1, upload: 4 }))
})

const Ports = Layer.unwrap(Effect.gen(function*() {
  const { servers, tokenFile, pool, worker, cache, artifacts } = yield* settings
  const builders = new Map([simulatedBuilder, debianBuilder(debianConfigOf(cache, process.env))].map((builder) => [builder.name, builder]))
  return Layer.mergeAll(
    WorkplaceJetStream({ servers, pool, worker, token: () => readFileSync(tokenFile, "utf8").trim() }),
    HeldImagesFiles(`${cache}/held`),
    ArtifactsFiles(artifacts),
    Layer.succeed(ImageBuilders, ImageBuilders.of({ builders }))
  )
}))

runProcess("worker", Effect.gen(function*() {
  const { slots, workDir } = yield* settings
  yield* runWorker({
    architectures: ["x86_64"], slots, workDir, version: "1",
    deadlines: { resolve: minutes(10), build: minutes(60), upload: minutes(60) }
  })
}).pipe(Effect.provide([Ports, AdminServer({ ready: true })])))
