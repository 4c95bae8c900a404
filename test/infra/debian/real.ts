/** A real builder for the tests of this folder, and a look into what it built without booting it. */
import { execFile } from "node:child_process"
import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { Effect, Result } from "effect"
import type { ImageOptions } from "../../../domain/image-options.ts"
import { manifestOf, type ImageSpec, type Lock, type Manifest } from "../../../domain/manifest.ts"
import type { BuildFailed, BuiltFile, Progress, Report } from "../../../domain/ports/image-builder.ts"
import { debianBuilder } from "../../../infra/debian/builder.ts"
import { debianConfigOf } from "../../../infra/debian/config.ts"
import { probe } from "../../../infra/debian/tools.ts"

const runFile = promisify(execFile)

/** Kept between runs: a mirror is asked for each package once. */
export const sharedCache =
  process.env["KILN_TEST_CACHE"] ?? join(tmpdir(), `kiln-test-cache-${process.getuid?.() ?? 0}`)
export const configOf = (cacheDir: string) => debianConfigOf(cacheDir, process.env)

type Customizations = Manifest["customizations"]

export const typedSpec = (type: string, customizations: Customizations, options?: ImageOptions, distribution = "debian-13"): ImageSpec => ({
  distribution,
  image: { architecture: "x86_64", type, ...(options && { options }) },
  customizations
})

export const specOf = (customizations: Customizations, size_bytes?: number): ImageSpec => ({
  distribution: "debian-13",
  image: { architecture: "x86_64", type: "guest-image", ...(size_bytes && { options: { size_bytes } }) },
  customizations
})

export interface Heard extends Report {
  readonly lines: Array<string>
  readonly stages: Array<Progress>
}

export const hearing = (onProgress: (progress: Progress) => void = () => {}): Heard => {
  const lines: Array<string> = []
  const stages: Array<Progress> = []
  return {
    lines,
    stages,
    line: (text) => void lines.push(text),
    progress: (progress) => {
      stages.push(progress)
      onProgress(progress)
    }
  }
}

/** Why nothing can be built here, after trying; `undefined` when it can. */
export const buildImpossible = async (): Promise<string | undefined> => {
  const { ready, summary } = await Effect.runPromise(probe)
  if (!ready) return summary
  const lock = await resolved(specOf({}))
  return Result.isFailure(lock) ? `${lock.failure.message} (no mirror, or none in the cache)` : undefined
}

export const resolved = (spec: ImageSpec, cacheDir = sharedCache): Promise<Result.Result<Lock, BuildFailed>> =>
  Effect.runPromise(Effect.result(debianBuilder(configOf(cacheDir)).resolve(spec, "/nowhere", hearing())))

export const buildOf = (
  spec: ImageSpec,
  lock: Lock,
  secrets: ReadonlyMap<string, string>,
  workspace: string,
  report: Report,
  cacheDir = sharedCache
) => debianBuilder(configOf(cacheDir)).build(manifestOf("debian", spec, lock), secrets, workspace, report)

/** Resolves and builds; the failure of either. */
export const built = (
  spec: ImageSpec,
  workspace: string,
  options: {
    readonly secrets?: ReadonlyMap<string, string>
    readonly report?: Report
    readonly cacheDir?: string
    readonly scratch?: "auto" | "disk"
  } = {}
): Promise<Result.Result<BuiltFile, BuildFailed>> => {
  const { cacheDir = sharedCache, report = hearing(), scratch, secrets = new Map() } = options
  const builder = debianBuilder({ ...configOf(cacheDir), ...(scratch && { scratch }) })
  return Effect.runPromise(
    Effect.result(
      Effect.flatMap(builder.resolve(spec, workspace, report), (lock) =>
        builder.build(manifestOf("debian", spec, lock), secrets, workspace, report)
      )
    )
  )
}

/** A cache that has some parts of the shared one. */
const cacheWith = async (dir: string, parts: ReadonlyArray<string>): Promise<string> => {
  const cache = join(dir, "cache")
  await mkdir(cache, { recursive: true })
  for (const part of parts) {
    await mkdir(join(sharedCache, part), { recursive: true })
    await symlink(join(sharedCache, part), join(cache, part))
  }
  return cache
}

/** With the shared one's indexes and packages, but nothing made from them. */
export const coldCache = (dir: string) => cacheWith(dir, ["apt", "packages"])

/** With the shared one's packages and base trees, for a stack whose home is `dir`. */
export const warmCache = (dir: string) => cacheWith(dir, ["packages", "repositories", "base"])

export const inTemporary = async <A>(use: (dir: string) => Promise<A>): Promise<A> => {
  const dir = await mkdtemp(join(tmpdir(), "kiln-debian-"))
  try {
    return await use(dir)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

const rootOffset = 65 * 1024 * 1024

/** The disk of an image, as data. */
export const openedDisk = async (image: string, dir: string) => {
  const raw = join(dir, `${Math.random().toString(36).slice(2)}.raw`)
  await runFile("qemu-img", ["convert", "-f", "qcow2", "-O", "raw", image, raw])
  return rawDisk(raw)
}

/** A raw disk, of which one partition is looked into. */
export const rawDisk = (raw: string, offset = rootOffset) => {
  const debugfs = async (request: string) =>
    (await runFile("/usr/sbin/debugfs", ["-R", request, `${raw}?offset=${offset}`], { maxBuffer: 1 << 26 })).stdout
  return {
    /** Text of a file, "" when there is none. */
    text: (path: string) => debugfs(`cat "${path}"`),
    /** What `stat` of debugfs says, in one line. */
    stat: async (path: string) => (await debugfs(`stat "${path}"`)).replace(/\s+/g, " "),
    names: async (path: string) =>
      [...(await debugfs(`ls -p "${path}"`)).matchAll(/^\/\d+\/\d+\/\d+\/\d+\/([^/]+)\//gm)].map(([, name]) => name!),
    table: async () =>
      JSON.parse((await runFile("/usr/sbin/sfdisk", ["-J", raw])).stdout).partitiontable as {
        label: string
        partitions: Array<{ name: string; start: number; size: number; attrs?: string }>
      },
    check: async () => (await runFile("/usr/sbin/e2fsck", ["-fn", `${raw}?offset=${offset}`])).stdout,
    esp: async (path: string) =>
      (await runFile("mtype", ["-i", `${raw}@@1M`, `::${path}`], { env: { ...process.env, MTOOLS_SKIP_CHECK: "1" } }))
        .stdout
  }
}
