/** The tree before anything was asked of it: made once for the same packages, tools and scripts, then only unpacked. */
import { mkdir } from "node:fs/promises"
import { dirname, join } from "node:path"
import { Effect } from "effect"
import type { BuildFailed, Report } from "../../domain/ports/image-builder.ts"
import type { Cache, Shelf } from "../cache/cache.ts"
import { locked } from "../cache/lock.ts"
import type { Limits } from "../sandbox/limits.ts"
import { confinedOrFail } from "../sandbox/sandbox.ts"
import { digestOf } from "./apt-index.ts"
import type { ClosedRepository } from "./closed-repository.ts"
import type { Release } from "./distributions.ts"
import { diskFailure, failureOf, onDiskAfterMemory } from "./failures.ts"
import { baseProgress } from "./progress.ts"
import { baseScriptsDigest, scriptPath } from "./scripts.ts"
import { treeMakersHere } from "./versions-here.ts"

export interface Scratch {
  readonly dir: string
  /** Size of a tmpfs over `dir`, or "". */
  readonly memory: string
}

export const baseTree = Effect.fn("debian.baseTree")(function*(
  release: Release,
  repository: ClosedRepository,
  cache: Cache,
  shelf: Shelf,
  scratch: Effect.Effect<Scratch>,
  limits: Limits,
  report: Report,
  share: readonly [from: number, to: number]
) {
  const { base, baseEpoch } = repository.facts
  const key = digestOf(
    [release.suite, ...release.base, ...base, baseEpoch, baseScriptsDigest(), yield* treeMakersHere].join("\n")
  )
  const name = `${key}.tar.zst`
  const kept = Effect.mapError(shelf.take("base", name), diskFailure("taking the base tree"))
  const known = yield* kept
  if (known !== undefined) return known
  yield* repository.layOut("base")
  // One at a time for each base, of all workers of this machine; whoever waited finds it made.
  return yield* locked(join(cache.dir, "base", `${key}.lock`)).pipe(
    Effect.mapError(diskFailure("waiting for the base tree")),
    Effect.andThen(Effect.flatMap(kept, (made) => (made === undefined ? make(release, repository, shelf, name, scratch, limits, report, share) : Effect.succeed(made)))),
    Effect.scoped
  )
})

const make = Effect.fnUntraced(function*(
  release: Release,
  repository: ClosedRepository,
  shelf: Shelf,
  name: string,
  scratch: Effect.Effect<Scratch>,
  limits: Limits,
  report: Report,
  [from, to]: readonly [from: number, to: number]
): Effect.fn.Return<string, BuildFailed> {
  const progress = baseProgress(repository.facts.base.length)
  report.progress({ stage: "base-system", percent: from })
  const out = join(shelf.dir, "made")
  yield* Effect.tryPromise({ try: () => mkdir(out, { recursive: true }), catch: diskFailure("making the base tree") })
  const { dir, memory } = yield* scratch
  const script = scriptPath("base-tree.sh")
  yield* onDiskAfterMemory(memory, report, (memory) =>
    confinedOrFail(
      {
        argv: ["bash", script],
        env: {
          SOURCE_DATE_EPOCH: String(repository.facts.baseEpoch),
          KILN_SCRATCH: dir,
          KILN_MEMORY: memory,
          KILN_REPOSITORY: repository.dir,
          KILN_SUITE: release.suite,
          KILN_INCLUDE: release.base.join(","),
          KILN_ARCHITECTURE: release.architecture,
          KILN_OUT: join(out, name)
        },
        onLine: (line) => {
          report.line(line)
          const percent = progress(line)
          if (percent !== undefined)
            report.progress({ stage: "base-system", percent: from + ((to - from) * percent) / 100 })
        }
      },
      { read: [dirname(script), repository.dir], write: [dir, out] },
      dir,
      { ...limits, scratch: Number(memory) },
      ({ code, tail }) => failureOf("making the base tree", code, tail)
    )
  )
  yield* Effect.mapError(shelf.put("base", name, join(out, name)), diskFailure("keeping the base tree"))
  return join(out, name)
})
