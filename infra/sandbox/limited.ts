/** For programs that need of the machine what the sandbox does not give, such as its network or its devices. */
import { Effect } from "effect"
import type { BuildFailed } from "../../domain/ports/image-builder.ts"
import { contained } from "../process/contained.ts"
import type { Command, Ran } from "../process/run.ts"
import type { Group } from "./cgroup.ts"
import type { Limits } from "./limits.ts"
import { watched } from "./watched.ts"

const joining = (group: Group | undefined) => (group === undefined ? [] : ["sh", "-c", "echo 0 >\"$0/cgroup.procs\" && exec \"$@\"", group.dir])

/**
 * Held to the limits of a build as far as that goes from outside: size of each file and memory of each process by the
 * kernel, those of all together by a watch. How many processes there are is only limited where there is a control group.
 * `largestFile`: for programs whose files are mostly empty; the watch counts what they take of the disk.
 */
export const limited = (command: Command, workspace: string, limits: Limits, largestFile = limits.disk): Effect.Effect<Ran, BuildFailed> =>
  Effect.flatMap(contained(command.argv), (argv) =>
    watched((group) => ({
      ...command,
      argv: [...joining(group), "prlimit", `--data=${limits.memory}`, `--fsize=${largestFile}`, "--core=0", "--", ...argv] as unknown as Command["argv"]
    }), workspace, limits))

export const limitedOrFail = (
  command: Command, workspace: string, limits: Limits, why: (ran: Ran) => BuildFailed, largestFile?: number
): Effect.Effect<Ran, BuildFailed> =>
  Effect.flatMap(limited(command, workspace, limits, largestFile), (ran) => (ran.code === 0 ? Effect.succeed(ran) : Effect.fail(why(ran))))
