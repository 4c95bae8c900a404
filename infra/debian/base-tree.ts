/** The tree before anything was asked of it: made once for the same packages, tools and scripts, then only unpacked. */
import { existsSync } from "node:fs"
import { mkdir, utimes } from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import type { Report } from "../../domain/ports/image-builder.ts"
import { digestOf } from "./apt-index.ts"
import type { ClosedRepository } from "./closed-repository.ts"
import type { Release } from "./distributions.ts"
import { diskFailure, failureOf, onDiskAfterMemory } from "./failures.ts"
import { namespacePrefix } from "./namespaces.ts"
import { baseProgress } from "./progress.ts"
import { run, runOrFail } from "./run.ts"
import { baseScriptsDigest, scriptPath } from "./scripts.ts"

export interface Scratch {
  readonly dir: string
  /** Size of a tmpfs over `dir`, or "". */
  readonly memory: string
}

/** The tools whose versions may show in a tree. */
export const treeTools = Effect.map(
  run({
    argv: ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", "mmdebstrap", "apt", "dpkg", "tar"],
    collect: true
  }),
  ({ stdout }) => stdout.split("\n").sort().join("\n")
)

export const baseTree = Effect.fn("debian.baseTree")(function*(
  release: Release,
  repository: ClosedRepository,
  cacheDir: string,
  scratch: Effect.Effect<Scratch>,
  report: Report,
  share: readonly [from: number, to: number]
) {
  const { base, baseEpoch } = repository.facts
  const key = digestOf(
    [release.suite, ...release.base, ...base, baseEpoch, baseScriptsDigest(), yield* treeTools].join("\n")
  )
  const path = join(cacheDir, "base", `${key}.tar.zst`)
  if (existsSync(path)) {
    yield* Effect.promise(() => utimes(path, new Date(), new Date()).catch(() => {}))
    return path
  }
  yield* Effect.tryPromise({
    try: () => mkdir(join(cacheDir, "base"), { recursive: true }),
    catch: diskFailure("making the base tree")
  })
  const [from, to] = share
  const progress = baseProgress(base.length)
  report.progress({ stage: "base-system", percent: from })
  const { dir, memory } = yield* scratch
  yield* onDiskAfterMemory(memory, report, (memory) =>
    runOrFail(
      {
        argv: [...namespacePrefix(), "bash", scriptPath("base-tree.sh")],
        env: {
          SOURCE_DATE_EPOCH: String(baseEpoch),
          KILN_SCRATCH: dir,
          KILN_MEMORY: memory,
          KILN_REPOSITORY: repository.dir,
          KILN_SUITE: release.suite,
          KILN_INCLUDE: release.base.join(","),
          KILN_OUT: path
        },
        onLine: (line) => {
          report.line(line)
          const percent = progress(line)
          if (percent !== undefined)
            report.progress({ stage: "base-system", percent: from + ((to - from) * percent) / 100 })
        }
      },
      ({ code, tail }) => failureOf("making the base tree", code, tail)
    )
  )
  return path
})
