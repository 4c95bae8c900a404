/** Ends a build that takes more than it may, where nobody else would. */
import { readdir, readFile, stat, statfs } from "node:fs/promises"
import { Effect } from "effect"
import { BuildFailed } from "../../domain/ports/image-builder.ts"
import { noSpace } from "../process/no-space.ts"
import { mappedPrefix, type Prefix } from "./ids.ts"
import { exceeded, type Limits } from "./limits.ts"
import { run } from "../process/run.ts"

const everyMs = 500
const diskEvery = 4
const page = 4096

/**
 * The processes of a sandbox, by the numbers that it knows itself, in the /proc that it sees itself. Before there is one,
 * what is begun still sees the machine's own.
 */
const processesOf = async (pid: number): Promise<{ readonly proc: string; readonly pids: ReadonlyArray<string> }> => {
  const [{ dev }, children] = await Promise.all([stat("/proc"), readFile(`/proc/${pid}/task/${pid}/children`, "utf8")])
  for (const child of children.trim().split(" ")) {
    const proc = `/proc/${child}/root/proc`
    if ((await stat(proc)).dev !== dev) return { proc, pids: (await readdir(proc)).filter((name) => /^\d+$/.test(name)) }
  }
  return { proc: "", pids: [] }
}

/** What is theirs alone, in bytes. */
const memoryOf = async (pid: number): Promise<number> => {
  const { pids, proc } = await processesOf(pid)
  const sizes = await Promise.all(
    pids.map((name) =>
      readFile(`${proc}/${name}/statm`, "utf8").then(
        (text) => {
          const [, resident = 0, shared = 0] = text.split(" ").map(Number)
          return (resident - shared) * page
        },
        () => 0
      )
    )
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}

const diskOf = (folder: string) =>
  run({ argv: [...mappedPrefix(), "du", "-sx", "--block-size=1", "--", folder] as unknown as Prefix, collect: true }).pipe(
    Effect.map(({ stdout }) => Number.parseInt(stdout, 10) || 0),
    Effect.orElseSucceed(() => 0)
  )

const freeOf = (folder: string) =>
  Effect.promise(() => statfs(folder).then(({ bavail, bsize }) => bavail * bsize, () => Infinity))

/** Never ends by itself; fails when a limit is passed. `folder`: the workspace. */
export const watch = Effect.fnUntraced(function*(pid: () => number | undefined, folder: string, limits: Limits): Effect.fn.Return<never, BuildFailed> {
  // The rest of the machine must be able to go on, whatever the limit says.
  const half = Math.floor((yield* freeOf(folder)) / 2)
  for (let round = 1;; round++) {
    yield* Effect.sleep(everyMs)
    const self = pid()
    if (self === undefined) continue
    const memory = yield* Effect.promise(() => memoryOf(self).catch(() => 0))
    if (memory > limits.memory) return yield* exceeded("memory", limits)
    if (round % diskEvery !== 0) continue
    const disk = yield* diskOf(folder)
    if (disk > limits.disk) return yield* exceeded("disk", limits)
    if (disk > half) return yield* new BuildFailed({ class: "platform", message: `the build was stopped at half of what had been free: ${noSpace}` })
  }
})
