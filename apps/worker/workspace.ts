/** Where jobs work: an empty folder each. */
import { mkdtempSync, readdirSync } from "node:fs"
import { mkdir, rm } from "node:fs/promises"
import { join } from "node:path"
import { Effect, Exit } from "effect"

const idleMs = 500

/**
 * A folder from which a successful job has moved its image away is as good as new. Where others wait for the disk all the
 * time, making and removing one takes longer than many a job. Nothing is left once there is nothing to do.
 */
export class Workspaces {
  #free: Array<string> = []
  #used = 0
  #idle: NodeJS.Timeout | undefined
  readonly #dir: string
  readonly #remove: (path: string) => Promise<void>

  constructor(dir: string, remove = removeOwn) {
    this.#dir = dir
    this.#remove = remove
  }

  use<A, E, R>(work: (workspace: string) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.acquireUseRelease(
      Effect.sync(() => this.#take()),
      work,
      (workspace, exit) => Effect.suspend(() => {
        const isClean = Exit.isSuccess(exit) && readdirSync(workspace).length === 0
        if (isClean) this.#free.push(workspace)
        const removed = isClean ? Effect.void : Effect.promise(() => this.#remove(workspace))
        return Effect.ensuring(removed, Effect.sync(() => this.#leave()))
      })
    )
  }

  /** What an earlier run left behind when it was killed. */
  get clear(): Effect.Effect<void> {
    return Effect.promise(async () => {
      await this.#remove(this.#dir)
      await mkdir(this.#dir, { recursive: true })
    })
  }

  #take(): string {
    clearTimeout(this.#idle)
    this.#used += 1
    return this.#free.pop() ?? mkdtempSync(join(this.#dir, "job-"))
  }

  #leave(): void {
    this.#used -= 1
    if (this.#used > 0) return
    this.#idle = setTimeout(() => {
      const free = this.#free
      this.#free = []
      void Promise.all(free.map(this.#remove))
    }, idleMs).unref()
  }
}

const removeOwn = (path: string) => rm(path, { recursive: true, force: true, maxRetries: 3 })
