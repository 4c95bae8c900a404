import { Effect } from "effect"
import { run } from "../process/run.ts"

/** A killed disk-image-create leaves its loop devices behind: those on files of this workspace go. */
export const detachLoops = (workspace: string): Effect.Effect<void> =>
  run({ argv: ["losetup", "--list", "--noheadings", "--raw", "--output", "NAME,BACK-FILE"], collect: true }).pipe(
    Effect.flatMap(({ stdout }) => {
      const left = stdout.split("\n").flatMap((line) => {
        const [device, file = ""] = line.split(/ (.*)/)
        return device !== undefined && file.startsWith(`${workspace}/`) ? [device] : []
      })
      return left.length === 0 ? Effect.void : run({ argv: ["losetup", "--detach", ...left] })
    }),
    Effect.ignore
  )
