/** Where jobs work: an empty folder each. */
import { mkdtempSync, readdirSync } from "node:fs"
import { mkdir, rm } from "node:fs/promises"
import { join } from "node:path"
import { Effect, Exit } from "effect"

/**
 * A folder from which a successful job has moved its image away is as good as new. Where others wait for the disk all the
 * time, making and removing one takes longer than many a job.
 */
export class Workspaces {
  readonly #free: Array<string> = []
  readonly #dir: string

  constructor(dir: string) {
    this.#dir = dir
  }

  use<A, E, R>(work: (workspace: string) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.acquireUseRelease(
      Effect.sync(() => this.#free.pop() ?? mkdtempSync(join(this.#dir, "job-"))),
      work,
      (workspace, exit) => Effect.suspend(() => {
        if (Exit.isSuccess(exit) && readdirSync(workspace).length === 0) {
          this.#free.push(workspace)
          return Effect.void
        }
        return Effect.promise(() => rm(workspace, { recursive: true, force: true, maxRetries: 3 }))
      })
    )
  }

  /** What an earlier run left behind when it was killed. */
  get clear(): Effect.Effect<void> {
    return Effect.promise(async () => {
      await rm(this.#dir, { recursive: true, force: true, maxRetries: 3 })
      await mkdir(this.#dir, { recursive: true })
    })
  }
}
