/** The manifest that osbuild is given: a file of the operator's, or what the image-builder tool makes of the request. */
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import type { Manifest } from "../../domain/manifest.ts"
import { BuildFailed, type Report, type Secrets } from "../../domain/ports/image-builder.ts"
import { diskFailure } from "../debian/failures.ts"
import { contained } from "../process/contained.ts"
import { runOrFail } from "../process/run.ts"
import { blueprintOf } from "./blueprint.ts"
import type { OsbuildDistribution, OsbuildType } from "./settings.ts"

export const osbuildManifest = Effect.fn("osbuild.manifest")(function*(
  { image_builder }: OsbuildDistribution, type: OsbuildType, manifest: Manifest, secrets: Secrets, workspace: string, report: Report
): Effect.fn.Return<string, BuildFailed> {
  if (image_builder === undefined) return type.manifest!
  const [blueprint, made] = [join(workspace, "blueprint.json"), join(workspace, "manifest.json")]
  const write = (path: string, text: string) =>
    Effect.tryPromise({ try: () => writeFile(path, text, { mode: 0o600 }), catch: diskFailure("writing the manifest") })
  // Password hashes are in there.
  yield* write(blueprint, JSON.stringify(blueprintOf(manifest, secrets)))
  const program = image_builder.program ?? usualImageBuilder
  const { stdout } = yield* runOrFail({
    argv: yield* contained([
      program[0], ...program.slice(1), "manifest", "--distro", image_builder.distro, "--arch", manifest.image.architecture, "--blueprint", blueprint,
      ...(image_builder.data_dir === undefined ? [] : ["--data-dir", image_builder.data_dir]), type.image_builder_type!
    ]),
    cwd: workspace, env: { HOME: workspace, TMPDIR: workspace }, collect: true, onLine: report.line
  }, ({ tail }) => whyNoManifest(tail, (manifest.customizations.packages ?? []).length > 0))
  yield* write(made, stdout)
  return made
})

export const usualImageBuilder = ["image-builder"] as const

/** A package that nobody has is the fault of whoever asked for it, if anybody did. */
const whyNoManifest = (tail: ReadonlyArray<string>, isAsked: boolean): BuildFailed => {
  const excerpt = tail.join("\n")
  if (isAsked && /missing packages|no match for|nothing provides|MarkingErrors/i.test(excerpt)) {
    return new BuildFailed({ class: "user", message: "customizations.packages: one of the packages cannot be had", excerpt })
  }
  return /depsolv|repomd|repositor|download/i.test(excerpt)
    ? new BuildFailed({ class: "repository", message: "image-builder could not resolve the packages", excerpt })
    : new BuildFailed({ class: "platform", message: "image-builder made no manifest", excerpt })
}
