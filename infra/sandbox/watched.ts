/** Runs a program that is ended when it takes more than it may, and says what that was. */
import { Effect } from "effect"
import { BuildFailed } from "../../domain/ports/image-builder.ts"
import { type Command, run, type Ran } from "../process/run.ts"
import { type Group, groupOf } from "./cgroup.ts"
import { exceeded, limitHit, type Limits } from "./limits.ts"
import { onProcessors } from "./processors.ts"
import { watch } from "./watch.ts"

const noGroup = (error: Error) => new BuildFailed({ class: "platform", message: `no control group for the build (KILN_CGROUP): ${error.message}` })

/** The worker's group, or its machine: another try may find it with less to do. */
const starved = (excerpt: string) =>
  new BuildFailed({ class: "platform", message: "the build was ended since this worker had no memory left, though the build had not all that it may have", ...(excerpt && { excerpt }) })

/** `command` is told of the control group that the program has to go into, if there is to be one. */
export const watched = (command: (group: Group | undefined) => Command, workspace: string, limits: Limits): Effect.Effect<Ran, BuildFailed> =>
  Effect.scoped(Effect.gen(function*() {
    const group = yield* Effect.mapError(groupOf(limits), noGroup)
    let pid: number | undefined
    const told = command(group)
    // A group has its share in it; without one a program is kept to some processors, as far as it does not ask for others.
    const argv = [...(group === undefined ? onProcessors(limits.cpus) : []), ...told.argv] as unknown as Command["argv"]
    const ran = run({ ...told, argv, onStart: (started) => (pid = started) })
    const ended = yield* Effect.raceFirst(ran, watch(() => pid, workspace, limits))
    const hit = ended.code === 0 ? undefined : group?.hit() ?? limitHit(ended.tail)
    if (hit === "starved") return yield* starved(ended.tail.join("\n"))
    return hit === undefined ? ended : yield* exceeded(hit, limits, ended.tail.join("\n"))
  }))
