/** A disk that is soon full: a tmpfs over a folder, gone with the scope. False where this machine lets us mount nothing. */
import { spawnSync } from "node:child_process"
import { mkdirSync } from "node:fs"
import { Effect } from "effect"

export const smallDisk = (folder: string, size: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      mkdirSync(folder, { recursive: true })
      return spawnSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder]).status === 0
    }),
    (isMounted) => Effect.sync(() => {
      if (isMounted) spawnSync("umount", ["--lazy", folder])
    }))

export const mountsNothing = "this machine lets us mount nothing"
