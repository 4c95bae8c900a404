/** What a worker finds when it builds an image once more. */
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Layer } from "effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { handleJob } from "../../../apps/worker/handle-job.ts"
import type { Artifact } from "../../../domain/artifact.ts"
import { ComposeId, Digest, JobId, TenantId } from "../../../domain/ids.ts"
import { type BuiltFile, ImageBuilders, type ImageBuilder } from "../../../domain/ports/image-builder.ts"
import { Artifacts } from "../../../domain/ports/artifacts.ts"
import { HeldImages } from "../../../domain/ports/held-images.ts"
import { ImageTests } from "../../../domain/ports/image-tests.ts"
import type { WorkItem, WorkOutcome } from "../../../domain/work.ts"
import { ImageContentsTools } from "../../../infra/contents/image-contents.ts"
import { ArtifactsFiles } from "../../../infra/files/artifacts-files.ts"
import { HeldImagesFiles } from "../../../infra/files/held-images-files.ts"
import { needs } from "../../support/needs.ts"
import { targetsOfTest } from "../../support/targets.ts"

needs("perl", "unshare", "tar")

let folder = ""
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kiln-verify-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** A builder of tar files with one text, of the time that is said, by the tools that are said; each build takes the next. */
const tarBuilder = (
  ...builds: ReadonlyArray<{ readonly text: string; readonly tarFormat?: string; readonly tools?: Readonly<Record<string, string>> }>
): ImageBuilder => {
  let runs = 0
  return {
    name: "tars", offers: [], obstacles: Effect.succeed(new Map()), resolve: () => Effect.die("nothing to resolve"),
    build: (_manifest, _secrets, workspace) => Effect.sync((): BuiltFile => {
      const { tarFormat = "gnu", text, tools } = builds[runs++]!
      const inventory = join(workspace, "inventory.json")
      writeFileSync(inventory, JSON.stringify({ epoch: 1, packages: [], licenses: [], ...(tools && { tools }) }))
      mkdirSync(join(workspace, "tree"))
      writeFileSync(join(workspace, "tree/motd"), text)
      writeFileSync(join(workspace, "tree/same"), "same")
      execFileSync("tar", ["--sort=name", "--mtime=@1000000000", "--owner=0", "--group=0", `--format=${tarFormat}`, "-C", join(workspace, "tree"), "-cf", join(workspace, "image.tar"), "."])
      return { path: join(workspace, "image.tar"), format: "tar", filename: "image.tar", mediaType: "application/x-tar", inventory }
    })
  }
}

const item: WorkItem = {
  speaker: "default/w1", tenantId: TenantId.make("acme"), composeId: ComposeId.make("0199d0a0-0000-7000-8000-000000000001"), jobId: JobId.make("0-build"), attempt: 1,
  kind: "build", builder: "tars", distribution: "test-distro-1", image: { architecture: "x86_64", type: "wsl" }, customizations: {}
}

/** Builds, and then verifies that by the same builder; `between` is done with the worker's stores. */
const verify = (builder: ImageBuilder, between: (built: Built) => Effect.Effect<unknown, unknown, HeldImages | Artifacts> = () => Effect.void) => {
  const work = (what: WorkItem) => handleJob(what, { workspace: mkdtempSync(join(folder, "job-")), report: { progress: () => {}, line: () => {} }, secrets: Effect.succeed(new Map()), filePart: () => Effect.succeed("gone" as const), deployment: "test", isCanceled: () => false })
  return Effect.gen(function*() {
    const built = (yield* work(item)) as Built
    yield* between(built)
    const { artifact, evidence, manifest, revision } = built
    const known = { ...(revision !== undefined && { revision }), ...(evidence?.tools && { tools: evidence.tools }) }
    const verified = (yield* work({ ...item, verify: { manifest, artifact, ...known } })) as Extract<WorkOutcome, { _tag: "Verified" }>
    return { built, verified }
  }).pipe(
    Effect.provide(Layer.mergeAll(
      HeldImagesFiles(join(folder, "held")), ArtifactsFiles(join(folder, "artifacts")), ImageContentsTools,
      Layer.succeed(ImageBuilders, ImageBuilders.of({ builders: new Map([[builder.name, builder]]) })), Layer.succeed(ImageTests, {} as ImageTests["Service"]), targetsOfTest()
    ))
  )
}
type Built = Extract<WorkOutcome, { _tag: "Built" }>
const drop = ({ artifact }: { readonly artifact: Artifact }) => Effect.flatMap(HeldImages, (held) => held.drop(artifact.digest))

describe("an image that is built again", () => {
  it("given the same bytes, then it is identical, and nothing is kept of it", async () => {
    const { built, verified } = await Effect.runPromise(verify(tarBuilder({ text: "hello" }, { text: "hello" })))
    expect(verified).toEqual({ _tag: "Verified", verdict: "identical", manifest: built.manifest, artifact: built.artifact, differences: [], more: 0 })
    expect(readdirSync(join(folder, "held/images"))).toHaveLength(1)
  })

  it("given one file with another text, then that file is named, with what it was and what it is", async () => {
    const { built, verified } = await Effect.runPromise(verify(tarBuilder({ text: "hello" }, { text: "HELLO!" })))
    expect(verified).toMatchObject({ verdict: "different", more: 0, differences: [{ where: "archive:/motd", what: "different", fields: { size: ["5", "6"] } }] })
    expect(verified.artifact.digest).not.toBe(built.artifact.digest)
    expect(readdirSync(join(folder, "held/images"))).toEqual([built.artifact.digest.replace(":", "-")])
  })

  it("given other bytes around the same files, then the contents are the same", async () => {
    const { verified } = await Effect.runPromise(verify(tarBuilder({ text: "hello" }, { text: "hello", tarFormat: "posix" })))
    expect(verified).toMatchObject({ verdict: "same-contents", differences: [], more: 0 })
  })

  it("given the first image in the store alone, then it is taken from there to be compared", async () => {
    const moved = (built: Built) => Effect.gen(function*() {
      const path = yield* (yield* HeldImages).path(built.artifact.digest)
      yield* (yield* Artifacts).put(path!, built.artifact.digest)
      yield* drop(built)
    })
    const { verified } = await Effect.runPromise(verify(tarBuilder({ text: "hello" }, { text: "HELLO!" }), moved))
    expect(verified.differences.map(({ where }) => where)).toEqual(["archive:/motd"])
  })

  it("given the first image is nowhere any more, then the digests alone say that it differs, and why no file is named", async () => {
    const { verified } = await Effect.runPromise(verify(tarBuilder({ text: "hello" }, { text: "HELLO!" }), drop))
    expect(verified).toMatchObject({ verdict: "different", differences: [], note: expect.stringContaining("not within this worker's reach") })
  })

  it("given another revision of the builder, and other bytes, then it says so beside the differences; given the same bytes, nothing", async () => {
    const changing = (...texts: ReadonlyArray<string>) => {
      const builder: { -readonly [Key in keyof ImageBuilder]: ImageBuilder[Key] } = { ...tarBuilder(...texts.map((text) => ({ text }))), revision: "1".repeat(64) }
      return Effect.runPromise(verify(builder, () => Effect.sync(() => void (builder.revision = "2".repeat(64)))))
    }
    const { built, verified } = await changing("hello", "HELLO!")
    expect(built).toMatchObject({ revision: "1".repeat(64) })
    expect(verified).toMatchObject({ verdict: "different", differences: [{ where: "archive:/motd" }], note: expect.stringMatching(/revision 1{12} of the builder, and now by revision 2{12},/) })
    expect((await changing("hello", "hello")).verified).not.toHaveProperty("note")
  })

  it("given other versions of the worker's tools, and other bytes, then it names them beside the differences", async () => {
    const [before, here] = [{ tar: "1.34", mmdebstrap: "1.3", gone: "1" }, { tar: "1.35", mmdebstrap: "1.3" }]
    const { verified } = await Effect.runPromise(verify(tarBuilder({ text: "hello", tools: before }, { text: "HELLO!", tools: here })))
    expect(verified).toMatchObject({
      verdict: "different", differences: [{ where: "archive:/motd" }],
      note: "it was built first by other versions of the worker's tools, which may be all the difference: gone 1, now none; tar 1.34, now 1.35"
    })
  })

  it.each([
    ["the same bytes, whatever the tools", { text: "hello", tools: { tar: "1.34" } }, { text: "hello", tools: { tar: "1.35" } }],
    ["the same tools", { text: "hello", tools: { tar: "1.35" } }, { text: "HELLO!", tools: { tar: "1.35" } }],
    ["a first image whose tools nobody has told", { text: "hello" }, { text: "HELLO!", tools: { tar: "1.35" } }]
  ])("given %s, then it says nothing of tools", async (_, first, second) =>
    expect((await Effect.runPromise(verify(tarBuilder(first, second)))).verified).not.toHaveProperty("note"))

  it("given an image of a version of Kiln that did not say its revision, and other bytes, then it says so", async () => {
    const builder: { -readonly [Key in keyof ImageBuilder]: ImageBuilder[Key] } = tarBuilder({ text: "hello" }, { text: "HELLO!" })
    const { verified } = await Effect.runPromise(verify(builder, () => Effect.sync(() => void (builder.revision = "2".repeat(64)))))
    expect(verified.note).toMatch(/built first by another version of the builder/)
  })

  it("given another manifest than the one it was built from, then nothing is built and it fails by the platform", async () => {
    const other: WorkItem["verify"] = { manifest: Digest.make(`sha256:${"0".repeat(64)}`), artifact: { digest: Digest.make(`sha256:${"1".repeat(64)}`), size: 1, format: "tar", filename: "a", mediaType: "b" } }
    const failed = await Effect.runPromise(Effect.flip(Effect.provide(
      handleJob({ ...item, verify: other }, { workspace: folder, report: { progress: () => {}, line: () => {} }, secrets: Effect.succeed(new Map()), filePart: () => Effect.succeed("gone" as const), deployment: "test", isCanceled: () => false }),
      Layer.mergeAll(
        HeldImagesFiles(join(folder, "held")), ArtifactsFiles(join(folder, "artifacts")), ImageContentsTools,
        Layer.succeed(ImageBuilders, ImageBuilders.of({ builders: new Map([["tars", tarBuilder()]]) })), Layer.succeed(ImageTests, {} as ImageTests["Service"]), targetsOfTest()
      ))))
    expect(failed).toMatchObject({ _tag: "BuildFailed", class: "platform", message: expect.stringContaining("sha256:0000") })
  })
})
