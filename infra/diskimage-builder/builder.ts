/** Images by diskimage-builder's elements: disk-image-create, its log as stages and progress. */
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import { packageNameOf } from "../../domain/customizations.ts"
import type { Parameters } from "../../domain/parameters.ts"
import { BuildFailed, type ImageBuilder, type Report } from "../../domain/ports/image-builder.ts"
import { artifactIn } from "../builders/artifact-in.ts"
import { askedOf, offerOf } from "../builders/entry.ts"
import { namesOf } from "../builders/formats.ts"
import { missingProgram } from "../builders/has-program.ts"
import { obstaclesOf } from "../builders/obstacles.ts"
import { steady } from "../builders/steady.ts"
import { diskFailure } from "../debian/failures.ts"
import { dpkgInventory, listedInventory, lookInto, now, writtenInventory } from "../evidence/look-into.ts"
import { isRoot } from "../sandbox/ids.ts"
import { run } from "../process/run.ts"
import { limitedOrFail } from "../sandbox/limited.ts"
import { type Limits, limitsOf } from "../sandbox/limits.ts"
import { assemble } from "./assemble.ts"
import { detachLoops } from "./loops.ts"
import { dpkgManifest } from "./manifests.ts"
import { dibProgress, textOf } from "./progress.ts"
import { type DibDistribution, dibFormats, type DibType, isDibFormat } from "./settings.ts"
import { whyDib } from "./why.ts"

const name = "diskimage-builder"
const usualProgram = ["disk-image-create"] as const
const takes = () => ["packages"]
const architectures = { x86_64: "amd64", aarch64: "arm64" } as const

/** Of a build, what is left to Kiln's own assembler. */
const assembling = 90

export const diskimageBuilder = (entries: ReadonlyArray<DibDistribution>, cacheDir: string, limits: Limits = limitsOf({})): ImageBuilder => ({
  name,
  // Elements fetch what is newest, and their order in time is in the image.
  alwaysBuilds: true,
  offers: entries.map((entry) => offerOf(entry, takes())),
  obstacles: obstaclesOf(entries, obstacleOf),
  resolve: () => Effect.fail(new BuildFailed({ class: "platform", message: "images of diskimage-builder need no lock" })),
  build: Effect.fn("diskimage-builder.build")(function*(manifest, _secrets, workspace, report) {
    const { entry, type, parameters } = yield* askedOf<DibType, DibDistribution>(entries, manifest, takes)
    const packages = (manifest.customizations.packages ?? []).map(packageNameOf)
    const pinned = (manifest.customizations.packages ?? []).find((each) => typeof each !== "string" && each.version !== undefined)
    if (pinned !== undefined) {
      return yield* new BuildFailed({ class: "user", message: `customizations.packages: ${packageNameOf(pinned)}: diskimage-builder takes no versions` })
    }
    const cache = join(cacheDir, name)
    const [home, locks] = [join(workspace, "home"), join(cache, "locks")]
    yield* Effect.tryPromise({
      try: () => Promise.all([home, locks].map((folder) => mkdir(folder, { recursive: true }))), catch: diskFailure("making folders")
    })
    const heard = steady(report)
    const whereOf = dibProgress()
    const [kind, extension] = dibFormats[type.assemble !== true && isDibFormat(type.format) ? type.format : "tar"]
    const share = type.assemble === true ? assembling / 100 : 1
    const program = entry.program ?? usualProgram
    yield* limitedOrFail({
      argv: [
        program[0], ...program.slice(1), "-a", architectures[manifest.image.architecture], "-o", join(workspace, "image"), "-t", kind,
        "--image-cache", cache, ...(packages.length > 0 ? ["-p", packages.join(",")] : []), ...entry.elements, ...(type.elements ?? [])
      ],
      cwd: workspace,
      env: {
        // Two apts at once in one folder of archives would wait for each other, and give up.
        DIB_APT_LOCAL_CACHE: "0",
        ...(entry.release !== undefined && { DIB_RELEASE: entry.release }),
        ...(entry.elements_path && { ELEMENTS_PATH: entry.elements_path.join(":") }),
        ...entry.env, ...type.env, ...parameterEnv(type, parameters),
        DIB_LOCKFILES: locks, HOME: home, TMP_DIR: workspace, TMPDIR: workspace
      },
      // Mounts and loop devices go in any case, so it need not be waited for.
      graceMs: 900,
      onLine: (line) => {
        const text = textOf(line)
        heard.line(text)
        const where = whereOf(text)
        if (where !== undefined) heard.progress({ stage: where.stage, percent: where.percent * share })
      }
    }, workspace, limits, ({ code, tail }) => whyDib(code, tail.map(textOf), packages)).pipe(Effect.ensuring(detachLoops(workspace)))
    const made = yield* artifactIn(workspace, { path: `image.${extension}`, ...namesOf(manifest.distribution, type.format) })
    const evidence = yield* evidenceOf(made.path, workspace, heard, limits)
    const file = type.assemble === true ? yield* assemble(manifest, made, workspace, heard, assembling, limits) : made
    heard.progress({ stage: "done", percent: 100 })
    return { ...file, ...evidence }
  })
})

/** By the image itself, which knows licenses too; else by the list that the element `dpkg` leaves beside it. */
const evidenceOf = Effect.fnUntraced(function*(path: string, workspace: string, report: Report, limits: Limits) {
  const files = yield* lookInto(path, workspace, report, limits)
  const listed = yield* dpkgManifest(workspace)
  const epoch = yield* now
  const inventory = dpkgInventory(files, epoch) ??
    (listed.length === 0 ? undefined : listedInventory(listed, files, epoch, "the list that disk-image-create has made of dpkg's word", { type: "deb" }))
  return yield* writtenInventory(inventory, workspace, "no dpkg could be found in it, and disk-image-create has left no list of packages")
})

const parameterEnv = ({ parameter_env = {} }: DibType, parameters: Parameters): Record<string, string> =>
  Object.fromEntries(Object.entries(parameter_env).flatMap(([name, variable]) => {
    const value = parameters[name]
    return value === undefined ? [] : [[variable, String(value)]]
  }))

const obstacleOf = Effect.fnUntraced(function*({ program = usualProgram }: DibDistribution) {
  const missing = [program[0], "sudo", "losetup"].map(missingProgram).find((why) => why !== undefined)
  if (missing !== undefined) return missing
  if (!isRoot()) return "diskimage-builder mounts and makes devices: run the worker as root"
  const free = yield* Effect.result(run({ argv: ["losetup", "--find"] }))
  return free._tag === "Success" && free.success.code === 0 ? undefined : "this machine gives no loop device"
})
