import { readFileSync } from "node:fs"
import { Config, Effect, Layer, Option, Schema } from "effect"
import { Architecture, Deployment, PoolScope, scopeOf, WorkerId } from "../../domain/ids.ts"
import { Slots } from "../../domain/job.ts"
import { ImageBuilders } from "../../domain/ports/image-builder.ts"
import { buildersFromEnvironment } from "../../infra/builders/builders.ts"
import { cacheBytesOf } from "../../infra/debian/config.ts"
import { ImageContentsTools } from "../../infra/contents/image-contents.ts"
import { CredentialSetsFromEnvironment } from "../../infra/credentials/credential-sets-file.ts"
import { ConvertedImagesCache } from "../../infra/formats/converted-images-cache.ts"
import { ArtifactsFiles } from "../../infra/files/artifacts-files.ts"
import { HeldImagesFiles } from "../../infra/files/held-images-files.ts"
import { WorkplaceJetStream } from "../../infra/jetstream/workplace.ts"
import { ImageTestsQemu } from "../../infra/qemu/image-tests-qemu.ts"
import type { Abilities } from "../../domain/work.ts"
import { removeTree } from "../../infra/sandbox/remove-tree.ts"
import { JournalsFiles } from "../../infra/targets/journals.ts"
import { ImageTargetsHere } from "../../infra/targets/targets.ts"
import { readWorkerFile } from "../../infra/worker-file/worker-file.ts"
import { AdminServer } from "../../infra/http/admin-server.ts"
import { deadlines } from "../deadlines.ts"
import { runProcess } from "../process.ts"
import { distributionsHere } from "./distributions-here.ts"
import { runWorker } from "./worker.ts"

const Architectures = Schema.fromJsonString(Schema.NonEmptyArray(Architecture))
const native: ReadonlyArray<Architecture> = process.arch === "arm64" ? ["aarch64"] : ["x86_64"]
const SlotsAsJson = Schema.fromJsonString(Slots)
/** Who builds can also boot what it has built, and who uploads can take it away again. */
const withOthers = (slots: Slots): Slots => ({ ...slots, test: slots.test ?? Math.min(1, slots.build), delete: slots.delete ?? Math.min(2, slots.upload) })

const settings = Config.all({
  servers: Config.String("KILN_NATS_URL"),
  tokenFile: Config.String("KILN_WORKER_TOKEN_FILE"),
  worker: Config.schema(WorkerId, "KILN_WORKER"),
  file: Config.option(Config.String("KILN_WORKER_FILE")),
  /** Those of the pools, architectures and slots that its file does not name. */
  pool: Config.schema(PoolScope, "KILN_POOL").pipe(Config.withDefault(PoolScope.make("default"))),
  architectures: Config.schema(Architectures, "KILN_ARCHITECTURES").pipe(Config.option),
  /** How many jobs of each kind at once, as JSON. */
  slots: Config.schema(SlotsAsJson, "KILN_SLOTS").pipe(Config.withDefault({ resolve: 2, build: 1, upload: 4 })),
  cache: Config.String("KILN_CACHE"),
  deployment: Config.schema(Deployment, "KILN_DEPLOYMENT").pipe(Config.withDefault("kiln")),
  workDir: Config.String("KILN_WORK"),
  artifacts: Config.String("KILN_ARTIFACTS"),
  deadlines,
  testDistribution: Config.Boolean("KILN_TEST_DISTRIBUTION").pipe(Config.withDefault(false))
})

const workerFile = Effect.gen(function*() {
  const { file } = yield* settings
  return Option.isNone(file) ? {} : yield* readWorkerFile(file.value)
})

const scope = Effect.gen(function*() {
  const { pool } = yield* settings
  const { pools } = yield* workerFile
  return pools === undefined ? pool : scopeOf(pools)
})

const abilities = Effect.gen(function*() {
  const { architectures, slots, testDistribution } = yield* settings
  const file = yield* workerFile
  // Simulated images are of any architecture.
  const offered = testDistribution ? Architecture.literals : native
  const found: Abilities = {
    architectures: file.architectures ?? Option.getOrElse(architectures, () => offered),
    slots: withOthers(file.slots === undefined ? slots : { resolve: 0, build: 0, upload: 0, ...file.slots }),
    distributions: yield* distributionsHere(yield* buildersFromEnvironment, file.distributions),
    ...(file.image_types && { imageTypes: file.image_types }),
    ...(file.labels && { labels: file.labels })
  }
  return found
})

const Ports = Layer.unwrap(Effect.gen(function*() {
  const { artifacts, cache, servers, tokenFile, worker } = yield* settings
  const builders = new Map((yield* buildersFromEnvironment).map((builder) => [builder.name, builder]))
  return Layer.mergeAll(
    WorkplaceJetStream({ servers, scope: yield* scope, worker, token: () => readFileSync(tokenFile, "utf8").trim() }),
    HeldImagesFiles(`${cache}/held`),
    ImageTestsQemu,
    ImageContentsTools,
    CredentialSetsFromEnvironment,
    ImageTargetsHere, JournalsFiles(`${cache}/journals`),
    ConvertedImagesCache({ dir: cache, bytes: cacheBytesOf(process.env).cacheBytes }),
    ArtifactsFiles(artifacts),
    Layer.succeed(ImageBuilders, ImageBuilders.of({ builders }))
  )
}))

const readiness = { ready: false }

runProcess("worker", Effect.gen(function*() {
  const { deadlines, deployment, workDir } = yield* settings
  yield* runWorker({
    abilities: yield* abilities, deployment, workDir, removeTree, version: "1", deadlines, onReady: Effect.sync(() => void (readiness.ready = true))
  })
}).pipe(Effect.provide([Ports, AdminServer(readiness)])))
