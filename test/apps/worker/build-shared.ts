/**
 * A worker of its own, to be killed: builds one image, the same for everybody, in a cache that others share. It says `building`
 * when its builder has begun, and goes on when it is told to. `build-shared.ts FOLDER`
 */
import { mkdtempSync, writeFileSync } from "node:fs"
import { once } from "node:events"
import { join } from "node:path"
import { Effect, Layer, Result } from "effect"
import { handleJob } from "../../../apps/worker/handle-job.ts"
import { Artifacts } from "../../../domain/ports/artifacts.ts"
import { type ImageBuilder, ImageBuilders } from "../../../domain/ports/image-builder.ts"
import { ImageContents } from "../../../domain/ports/image-contents.ts"
import { ImageTests } from "../../../domain/ports/image-tests.ts"
import { HeldImagesFiles } from "../../../infra/files/held-images-files.ts"
import { targetsOfTest } from "../../support/targets.ts"
import { itemNamed } from "./shared-item.ts"

const folder = process.argv[2]!

const builder: ImageBuilder = {
  name: "slow",
  offers: [],
  obstacles: Effect.succeed(new Map()),
  resolve: () => Effect.die("nothing to resolve"),
  build: (_manifest, _secrets, workspace) =>
    Effect.promise(async () => {
      console.log("building")
      await once(process.stdin, "data")
      const path = join(workspace, "image")
      writeFileSync(path, "the image")
      return { path, format: "raw", filename: "image.raw", mediaType: "application/octet-stream" }
    })
}

const outcome = await Effect.runPromise(handleJob(itemNamed("box"), {
  workspace: mkdtempSync(join(folder, "job-")), report: { progress: () => {}, line: (text) => console.log(text) },
  secrets: Effect.succeed(new Map()), filePart: () => Effect.succeed("gone" as const), deployment: "test", isCanceled: () => false
}).pipe(
  Effect.result,
  Effect.provide(Layer.mergeAll(
    HeldImagesFiles(join(folder, "held")),
    Layer.succeed(ImageBuilders, ImageBuilders.of({ builders: new Map([[builder.name, builder]]) })),
    Layer.succeed(Artifacts, {} as Artifacts["Service"]),
    Layer.succeed(ImageTests, {} as ImageTests["Service"]),
    Layer.succeed(ImageContents, {} as ImageContents["Service"]),
    targetsOfTest()
  ))
))
console.log(Result.isSuccess(outcome) && outcome.success._tag === "Built" ? `built, reused: ${outcome.success.reused}` : `failed: ${JSON.stringify(outcome)}`)
process.exit()
