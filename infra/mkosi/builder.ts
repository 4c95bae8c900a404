/** Images by mkosi, version 24 or later: it needs no loop devices from then on. */
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import { packageNameOf } from "../../domain/customizations.ts"
import type { Manifest } from "../../domain/manifest.ts"
import { BuildFailed, type ImageBuilder } from "../../domain/ports/image-builder.ts"
import { artifactIn } from "../builders/artifact-in.ts"
import { askedOf, offerOf } from "../builders/entry.ts"
import { namesOf } from "../builders/formats.ts"
import { missingProgram } from "../builders/has-program.ts"
import { obstaclesOf } from "../builders/obstacles.ts"
import { steady } from "../builders/steady.ts"
import { diskFailure } from "../debian/failures.ts"
import { run } from "../process/run.ts"
import { limitedOrFail } from "../sandbox/limited.ts"
import { type Limits, limitsOf } from "../sandbox/limits.ts"
import { mkosiProgress, wordsOf } from "./progress.ts"
import { mkosiFormats, type MkosiDistribution, type MkosiType } from "./settings.ts"
import { whyMkosi } from "./why.ts"

const name = "mkosi"
const usualProgram = ["mkosi"] as const
const oldest = 24
const takes = () => ["packages", "hostname", "timezone", "locale"]
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
        program[0], ...program.slice(1), `--directory=${entry.directory}`, "--force", "--output=image", `--output-directory=${output}`,
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
    }, workspace, limits, ({ code, tail }) => whyMkosi(code, tail.map((line) => wordsOf(line).text), (manifest.customizations.packages ?? []).map(packageNameOf)))
    const extension = `${mkosiFormats[format]}${compressed === undefined ? "" : `.${compressed}`}`
    const made = yield* artifactIn(workspace, { path: join("output", `image.${extension}`), ...namesOf(manifest.distribution, extension) })
    heard.progress({ stage: "done", percent: 100 })
    return made
  })
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
