/** A builder that builds nothing: it waits, talks and writes as it is asked, stored files last, so that load and fault runs need no real build. */
import { createHash, randomUUID } from "node:crypto"
import { once } from "node:events"
import { createWriteStream, writeFileSync } from "node:fs"
import { appendFile, readFile } from "node:fs/promises"
import { finished } from "node:stream/promises"
import { join } from "node:path"
import { Effect } from "effect"
import type { LockedPackage } from "../../domain/manifest.ts"
import { BuildFailed, type DistributionInfo, type ImageBuilder, type Report } from "../../domain/ports/image-builder.ts"

const options = ["duration_ms", "fail_with", "lines", "bytes", "varies"]
const imageTypes = [{ type: "simulated", description: "Nothing that boots; takes the time and makes the bytes it is asked for", options, bootable: false }]

export const simulatedDistribution: DistributionInfo = {
  id: "test-distro-1",
  name: "Test distribution 1 (simulated)",
  builder: "simulated",
  resolves: false,
  reproducible: true,
  filesByDigest: true,
  architectures: [{ architecture: "x86_64", imageTypes }, { architecture: "aarch64", imageTypes }]
}

/** The same with packages: all of them are new versions every so often, which stands for what happens in repositories. */
export const simulatedWithPackages: DistributionInfo = {
  ...simulatedDistribution,
  id: "test-distro-2",
  name: "Test distribution 2 (simulated, with packages)",
  resolves: true,
  architectures: simulatedDistribution.architectures.map(({ architecture, imageTypes }) => ({
    architecture, imageTypes: imageTypes.map((type) => ({ ...type, options: [...type.options, "packages_every_ms"] }))
  }))
}

const stepMs = 250
const usualEveryMs = 86_400_000

export const simulatedBuilder: ImageBuilder = {
  name: "simulated",
  offers: [simulatedDistribution, simulatedWithPackages],
  obstacles: Effect.succeed(new Map()),
  alwaysBuilds: true,
  resolve: ({ customizations, distribution, image: { architecture, options = {} } }) => {
    if (distribution !== simulatedWithPackages.id) return Effect.fail(new BuildFailed({ class: "platform", message: "simulated images need no lock" }))
    if (options.fail_with !== undefined) return Effect.fail(new BuildFailed({ class: options.fail_with, message: `asked to fail as ${options.fail_with}` }))
    const version = String(Math.floor(Date.now() / (options.packages_every_ms ?? usualEveryMs)))
    const names = [...new Set(["base", ...(customizations.packages ?? []).map((each) => typeof each === "string" ? each : each.name)])].toSorted()
    return Effect.succeed({ distribution, architecture, sources: [], packages: names.map((name) => packageOf(name, version, architecture)) })
  },
  build: Effect.fnUntraced(function*({ image: { options = {}, architecture } }, _secrets, workspace, report, files = new Map()) {
    const { duration_ms: duration = 0, fail_with: failure, lines = 0, bytes = 1024, varies = false } = options
    report.progress({ stage: "simulate", percent: 0 })
    yield* spend(duration, lines, report)
    if (failure !== undefined) {
      return yield* new BuildFailed({ class: failure, message: `asked to fail as ${failure}`, excerpt: "simulated failure" })
    }
    const path = join(workspace, "image.raw")
    yield* Effect.tryPromise({
      try: async () => {
        await write(path, bytes, varies ? randomUUID() : "")
        for (const file of files.values()) await appendFile(path, await readFile(file))
      },
      catch: (error) => new BuildFailed({ class: "platform", message: (error as Error).message })
    })
    report.progress({ stage: "done", percent: 100, bytesDone: bytes, bytesTotal: bytes })
    return { path, format: "raw", filename: `simulated-${architecture}.raw`, mediaType: "application/octet-stream" }
  })
}

const packageOf = (name: string, version: string, architecture: string): LockedPackage => {
  const sha256 = createHash("sha256").update(`${name} ${version}`).digest("hex")
  return { name, version, architecture, size: 1024, sha256, url: `https://packages.invalid/${name}_${version}.deb` }
}

/** Says its lines evenly over the time it takes. */
const spend = Effect.fnUntraced(function*(duration: number, lines: number, report: Report) {
  const steps = Math.max(1, Math.ceil(duration / stepMs))
  let said = 0
  for (let step = 1; step <= steps; step++) {
    if (duration > 0) yield* Effect.sleep(duration / steps)
    for (const until = Math.round((lines * step) / steps); said < until; said++) report.line(`simulated line ${said + 1} of ${lines}`)
    report.progress({ stage: "simulate", percent: Math.round((99 * step) / steps) })
  }
})

/** Bytes that differ from block to block and are the same for the same size and mark. */
const write = async (path: string, bytes: number, mark: string) => {
  if (bytes <= 65_536) return writeFileSync(path, Buffer.alloc(bytes, `${mark}0`))
  const file = createWriteStream(path)
  const block = Buffer.alloc(65_536)
  for (let at = 0; at < bytes; at += block.length) {
    block.fill(`${mark}${at}`)
    if (!file.write(Buffer.from(block.subarray(0, Math.min(block.length, bytes - at))))) {
      await once(file, "drain")
    }
  }
  file.end()
  await finished(file)
}
