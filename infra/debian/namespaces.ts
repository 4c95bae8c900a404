/** What this machine has for trees to be made in. */
import { constants } from "node:fs"
import { access } from "node:fs/promises"
import { Effect } from "effect"
import { freeMemory } from "../sandbox/free-memory.ts"

/** The tmpfs size to work in, or "" for the disk: memory is used only where twice the need is free. */
export const memoryScratch = (needed: number, scratch: "auto" | "disk"): Effect.Effect<string> =>
  Effect.promise(async () =>
    scratch === "auto" && (await freeMemory()) > 2 * needed ? String(Math.ceil(needed * 1.5)) : ""
  )

export const canWrite = (path: string): Promise<boolean> =>
  access(path, constants.W_OK).then(
    () => true,
    () => false
  )
