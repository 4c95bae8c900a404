/** Images by mkosi, version 24 or later: it needs no loop devices from then on. */
import { mkdir, readdir } from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import { packageNameOf } from "../../domain/customizations.ts"
import type { Manifest } from "../../domain/manifest.ts"
import { BuildFailed, type ImageBuilder, type Report } from "../../domain/ports/image-builder.ts"
import { artifactIn } from "../builders/artifact-in.ts"
import { askedOf, offerOf } from "../builders/entry.ts"
import { namesOf } from "../builders/formats.ts"
import { missingProgram } from "../builders/has-program.ts"
import { obstaclesOf } from "../builders/obstacles.ts"
import { steady } from "../builders/steady.ts"
import { diskFailure } from "../debian/failures.ts"
import { listedInventory, lookInto, now, osRelease, systemIn, writtenInventory } from "../evidence/look-into.ts"
import { run } from "../process/run.ts"
import { limitedOrFail } from "../sandbox/limited.ts"
import { type Limits, limitsOf } from "../sandbox/limits.ts"
import { mkosiManifest } from "./manifest.ts"
import { mkosiProgress, wordsOf } from "./progress.ts"
import { mkosiFormats, type MkosiDistribution, type MkosiType } from "./settings.ts"
import { whyMkosi } from "./why.ts"

const name = "mkosi"
const usualProgram = ["mkosi"] as const
const oldest = 24
const takes = () => ["packages", "hostname", "timezone", "locale"]
/** systemd-repart tries how small a disk can be in an empty file of 1 TiB. */
const largestFile = 2 ** 41
const architectures = { x86_64: "x86-64", aarch64: "arm64" } as const

export const mkosiBuilder = (entries: ReadonlyArray<MkosiDistribution>, cacheDir: string, limits: Limits = limitsOf({})): ImageBuilder => ({
  name,
  // It takes what is newest, and its configuration may have changed.
  alwaysBuilds: true,
  offers: entries.map((entry) => offerOf(entry, takes())),
  obstacles: obstaclesOf(entries, obstacleOf),
  resolve: () => Effect.fail(new BuildFailed({ class: "platform", message: "images of mkosi need no lock" })),
  build: Effect.fn("mkosi.build")(function*(manifest, _secrets, workspace, report) {
    const { entry, type } = yield* askedOf<MkosiType, MkosiDistribution>(entries, manifest, takes)
    const [output, scratch, packages] = [join(workspace, "output"), join(workspace, "scratch"), join(cacheDir, name, "packages")]
    yield* Effect.tryPromise({
      try: () => Promise.all([output, scratch, packages].map((path) => mkdir(path, { recursive: true }))), catch: diskFailure("making folders")
    })
    const heard = steady(report)
    const program = entry.program ?? usualProgram
    const { format = "disk", compressed, profiles = [] } = type
    heard.progress({ stage: "prepare", percent: 0 })
    yield* limitedOrFail({
      argv: [
        program[0], ...program.slice(1), `--directory=${entry.directory}`, "--force", "--output=image", "--manifest-format=json", `--output-directory=${output}`,
        `--workspace-directory=${scratch}`, `--package-cache-directory=${packages}`, `--architecture=${architectures[manifest.image.architecture]}`,
        ...(type.format === undefined ? [] : [`--format=${type.format}`]), ...(entry.release === undefined ? [] : [`--release=${entry.release}`]),
        ...(compressed === undefined ? [] : [`--compress-output=${compressed}`]), ...profiles.map((profile) => `--profile=${profile}`),
        ...customizationsOf(manifest), "build"
      ],
      cwd: workspace, env: { HOME: workspace, TMPDIR: workspace, TERM: "dumb", ...entry.env },
      // Its mounts go in any case, so it need not be waited for.
      graceMs: 900,
      onLine: (line) => {
        heard.line(wordsOf(line).text)
        const where = mkosiProgress(line)
        if (where !== undefined) heard.progress(where)
      }
    }, workspace, limits, ({ code, tail }) => whyMkosi(code, tail.map((line) => wordsOf(line).text), (manifest.customizations.packages ?? []).map(packageNameOf)), largestFile)
    const extension = yield* extensionIn(output, mkosiFormats[format])
    const made = yield* artifactIn(workspace, { path: join("output", `image.${extension}`), ...namesOf(manifest.distribution, extension) })
    const evidence = yield* evidenceOf(made.path, output, workspace, heard, limits)
    heard.progress({ stage: "done", percent: 100 })
    return { ...made, ...evidence }
  })
})

/** Archives are packed unless mkosi.conf says otherwise, and some formats never are, whatever was asked for. */
const extensionIn = (output: string, plain: string) =>
  Effect.tryPromise({ try: () => readdir(output), catch: diskFailure("reading what mkosi made") }).pipe(
    Effect.map((names) => ["zst", "gz", "xz", "bz2", "lz4", "lzma"].map((packed) => `${plain}.${packed}`).find((each) => names.includes(`image.${each}`)) ?? plain))

/** What mkosi lists, since it may leave no dpkg in the image; the rest by the image itself. */
const evidenceOf = Effect.fnUntraced(function*(path: string, output: string, workspace: string, report: Report, limits: Limits) {
  const listed = yield* mkosiManifest(join(output, "image.manifest"))
  if (listed === undefined) return { noBill: "mkosi has listed no packages" }
  const files = listed.system.type === "deb" ? yield* lookInto(path, workspace, report, limits) : new Map<string, string>()
  // mkosi says the release as it was asked for, such as trixie; scanners go by its number.
  const system = files.has(osRelease) ? systemIn(files) : listed.system
  return yield* writtenInventory(listedInventory(listed.packages, files, yield* now, "the manifest that mkosi has made of the image", system), workspace)
})

/** Every value is a part of its option's own argument, and has been checked when it was asked for. */
const customizationsOf = ({ customizations: { hostname, locale, packages = [], timezone } }: Manifest): ReadonlyArray<string> => [
  ...packages.map((each) => `--package=${packageNameOf(each)}${typeof each !== "string" && each.version !== undefined ? `=${each.version}` : ""}`),
  ...(hostname === undefined ? [] : [`--hostname=${hostname}`]),
  ...(timezone === undefined ? [] : [`--timezone=${timezone}`]),
  ...(locale === undefined ? [] : [`--locale=${locale}`])
]

const obstacleOf = Effect.fnUntraced(function*({ directory, program = usualProgram }: MkosiDistribution) {
  const missing = missingProgram(program[0])
  if (missing !== undefined) return missing
  const asked = yield* Effect.result(run({ argv: [program[0], ...program.slice(1), "--version"], collect: true, cwd: directory }))
  if (asked._tag === "Failure") return asked.failure.message
  const version = /^mkosi (\d+)/m.exec(asked.success.stdout)?.[1]
  if (version === undefined) return `${program.join(" ")} --version says no version of mkosi`
  return Number(version) < oldest ? `mkosi ${version} is too old: ${oldest} or later is needed` : undefined
})
