import { readFileSync } from "node:fs"
import { Config, Effect, Layer, Option, Schema } from "effect"
import { Architecture, PoolId, WorkerId } from "../../domain/ids.ts"
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
const Architectures = Schema.fromJsonString(Schema.NonEmptyArray(Architecture))
const native: ReadonlyArray<Architecture> = process.arch === "arm64" ? ["aarch64"] : ["x86_64"]
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
  /** Those of the images that may be built here; the machine's own unless set. */
  architectures: Config.schema(Architectures, "KILN_ARCHITECTURES").pipe(Config.option),
  testDistribution: Config.Boolean("KILN_TEST_DISTRIBUTION").pipe(Config.withDefault(false)),
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

const readiness = { ready: false }

runProcess("worker", Effect.gen(function*() {
  const { architectures, slots, testDistribution, workDir } = yield* settings
  // Simulated images are of any architecture.
  const offered = testDistribution ? Architecture.literals : native
  yield* runWorker({
    architectures: Option.getOrElse(architectures, () => offered), slots, workDir, version: "1", onReady: Effect.sync(() => void (readiness.ready = true)),
    deadlines: { resolve: minutes(10), build: minutes(60), upload: minutes(60) }
  })
}).pipe(Effect.provide([Ports, AdminServer(readiness)])))
