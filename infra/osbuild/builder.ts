/** Images by osbuild manifests: its monitor as stages and progress, its result as failures, its store shared by all builds. */
import { mkdir, readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import type { InstalledPackage } from "../../domain/evidence/inventory.ts"
import { BuildFailed, type ImageBuilder, type Report } from "../../domain/ports/image-builder.ts"
import { artifactIn } from "../builders/artifact-in.ts"
import { askedOf, offerOf } from "../builders/entry.ts"
import { namesOf } from "../builders/formats.ts"
import { missingProgram } from "../builders/has-program.ts"
import { obstaclesOf } from "../builders/obstacles.ts"
import { steady } from "../builders/steady.ts"
import { diskFailure } from "../debian/failures.ts"
import { dpkgInventory, lookInto, now, writtenInventory } from "../evidence/look-into.ts"
import { isRoot } from "../sandbox/ids.ts"
import { run } from "../process/run.ts"
import { limited } from "../sandbox/limited.ts"
import { type Limits, limitsOf } from "../sandbox/limits.ts"
import { blueprintKeys } from "./blueprint.ts"
import { osbuildManifest, usualImageBuilder } from "./manifest.ts"
import { osbuildMonitor } from "./monitor.ts"
import { packagesInResult } from "./packages.ts"
import type { OsbuildDistribution, OsbuildType } from "./settings.ts"
import { whyOsbuild } from "./why.ts"

const name = "osbuild"
const usualProgram = ["osbuild"] as const
const usualCacheSize = "10GiB"
const takes = ({ image_builder }: OsbuildDistribution): ReadonlyArray<string> => image_builder === undefined ? [] : blueprintKeys
/** Between the manifest, which comes before, and the export, of which nothing is heard. */
const [begins, ends] = [3, 97]

/** In its own mounts, what it leaves in /run goes with them: sockets there have to have short names. */
const privateRun = "mkdir -p /run/osbuild && mount -t tmpfs kiln /run/osbuild && exec \"$@\""

export const osbuildBuilder = (entries: ReadonlyArray<OsbuildDistribution>, cacheDir: string, limits: Limits = limitsOf({})): ImageBuilder => ({
  name,
  // A manifest's file may have changed under its name.
  alwaysBuilds: true,
  offers: entries.map((entry) => offerOf(entry, takes(entry))),
  obstacles: obstaclesOf(entries, obstacleOf),
  resolve: () => Effect.fail(new BuildFailed({ class: "platform", message: "images of osbuild need no lock" })),
  build: Effect.fn("osbuild.build")(function*(manifest, secrets, workspace, report) {
    const { entry, type } = yield* askedOf<OsbuildType, OsbuildDistribution>(entries, manifest, takes)
    const [store, output] = [join(cacheDir, name, "store"), join(workspace, "output")]
    yield* Effect.tryPromise({ try: () => Promise.all([store, output].map((path) => mkdir(path, { recursive: true }))), catch: diskFailure("making folders") })
    const heard = steady(report, secrets)
    heard.progress({ stage: "manifest", percent: 0 })
    const path = yield* osbuildManifest(entry, type, manifest, secrets, workspace, heard)
    const monitor = osbuildMonitor()
    let stage = "sources"
    const program = entry.program ?? usualProgram
    const osbuild = [
      ...program, ...(entry.libdir === undefined ? [] : ["--libdir", entry.libdir]),
      "--store", store, "--cache-max-size", entry.cache_size ?? usualCacheSize, "--output-directory", output, "--export", type.export,
      ...(type.checkpoints ?? []).flatMap((checkpoint) => ["--checkpoint", checkpoint]), "--json", "--monitor", "JSONSeqMonitor", "--monitor-fd", "3", path
    ]
    const alone = ["flock", "--shared", "--no-fork", `${store}.lock`, ...(isRoot() ? ["sh", "-c", privateRun, "sh"] : []), ...osbuild] as const
    const { code, stdout, tail } = yield* limited({
      argv: alone,
      cwd: workspace, env: { HOME: workspace, TMPDIR: workspace, ...entry.env }, collect: true, onLine: heard.line,
      // Asked by SIGTERM it would leave its mounts.
      stopSignal: "SIGINT", graceMs: 700,
      onChannel: (chunk) => {
        for (const said of monitor(chunk)) {
          stage = said.stage ?? stage
          if (said.percent !== undefined) heard.progress({ stage, percent: begins + ((ends - begins) * said.percent) / 100 })
          for (const line of said.lines) heard.line(line)
        }
      }
    }, workspace, limits).pipe(Effect.onInterrupt(() => clearStore(store)))
    const failure = whyOsbuild(code, stdout, tail)
    if (failure !== undefined) return yield* Effect.andThen(clearStore(store), failure)
    const file = yield* exported(join(output, type.export), type)
    const made = yield* artifactIn(workspace, { path: join("output", type.export, file), ...namesOf(manifest.distribution, type.format) })
    const evidence = yield* evidenceOf(made.path, packagesInResult(stdout, yield* read(path), type.export), entry, workspace, heard, limits)
    heard.progress({ stage: "done", percent: 100 })
    return { ...made, ...evidence }
  })
})

const read = (path: string) => Effect.promise(() => readFile(path, "utf8").catch(() => ""))

/** RPM's packages by osbuild's result; no stage of osbuild lists Debian's, so that image has to tell them itself. */
const evidenceOf = Effect.fnUntraced(function*(
  path: string, listed: ReadonlyArray<InstalledPackage>, { image_builder }: OsbuildDistribution, workspace: string, report: Report, limits: Limits
) {
  const epoch = yield* now
  const [vendor, distribution] = [image_builder?.distro.split("-")[0], image_builder?.distro]
  const system = { type: "rpm", ...(vendor !== undefined && { vendor }), ...(distribution !== undefined && { distribution }) }
  const inventory = listed.length > 0
    ? { epoch, packages: listed, licenses: [], origin: "what RPM says is installed, by osbuild's result", system }
    : dpkgInventory(yield* lookInto(path, workspace, report, limits), epoch)
  return yield* writtenInventory(inventory, workspace, "osbuild's result lists no packages, and no dpkg could be found in the image")
})

/** What a killed build leaves half made in the store goes as soon as no other build uses it. */
const clearStore = (store: string) =>
  Effect.ignore(run({ argv: ["flock", "--exclusive", "--nonblock", `${store}.lock`, "find", join(store, "tmp"), "-mindepth", "1", "-xdev", "-delete"] }))

const exported = Effect.fnUntraced(function*(folder: string, { export: pipeline, file }: OsbuildType) {
  if (file !== undefined) return file
  const names = yield* Effect.tryPromise({ try: () => readdir(folder), catch: diskFailure("reading what osbuild made") })
  return names.length === 1 ? names[0]! : yield* new BuildFailed({
    class: "platform", message: `the pipeline ${pipeline} made ${names.length === 0 ? "no file" : `more than one file (${names.slice(0, 5).join(", ")}): name one as file`}`
  })
})

const obstacleOf = Effect.fnUntraced(function*({ image_builder, program = usualProgram }: OsbuildDistribution) {
  const missing = [program[0], ...(image_builder === undefined ? ["flock"] : ["flock", (image_builder.program ?? usualImageBuilder)[0]])]
    .map(missingProgram).find((why) => why !== undefined)
  if (missing !== undefined) return missing
  const asked = yield* Effect.result(run({ argv: [program[0], ...program.slice(1), "--version"], collect: true }))
  if (asked._tag === "Failure") return asked.failure.message
  const { code, stdout, tail } = asked.success
  if (code !== 0 || !/^osbuild \d+/.test(stdout)) return `${program.join(" ")} --version says no version of osbuild: ${tail.at(-1) ?? stdout.slice(0, 100)}`
  // Without it the first stage fails, and its mounts stay.
  return isRoot() && (yield* Effect.promise(() => readdir("/etc/containers").then(() => false, () => true))) ? "osbuild needs a directory /etc/containers" : undefined
})
