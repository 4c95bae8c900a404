/** Where jobs work: an empty folder each. */
import { mkdtempSync, readdirSync } from "node:fs"
import { mkdir, readdir, rm } from "node:fs/promises"
import { join } from "node:path"
import { Effect, Exit } from "effect"
import { BuildFailed } from "../../domain/ports/image-builder.ts"

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

  use<A, E, R>(work: (workspace: string) => Effect.Effect<A, E, R>): Effect.Effect<A, E | BuildFailed, R> {
    return Effect.acquireUseRelease(
      Effect.try({ try: () => this.#take(), catch: noRoom }),
      work,
      (workspace, exit) => Effect.suspend(() => {
        const isClean = Exit.isSuccess(exit) && readdirSync(workspace).length === 0
        if (isClean) this.#free.push(workspace)
        const removed = isClean ? Effect.void : Effect.promise(() => this.#remove(workspace))
        return Effect.ensuring(removed, Effect.sync(() => this.#leave()))
      })
    )
  }

  /** What an earlier run left behind when it was killed. The folder itself may be where a disk is mounted. */
  get clear(): Effect.Effect<void> {
    return Effect.promise(async () => {
      await mkdir(this.#dir, { recursive: true })
      await Promise.all((await readdir(this.#dir)).map((name) => this.#remove(join(this.#dir, name))))
    })
  }

  #take(): string {
    const workspace = this.#free.pop() ?? mkdtempSync(join(this.#dir, "job-"))
    clearTimeout(this.#idle)
    this.#used += 1
    return workspace
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

const noRoom = (error: unknown) =>
  new BuildFailed({ class: "platform", message: `the worker cannot make a workspace: ${(error as Error).message}` })

const removeOwn = (path: string) => rm(path, { recursive: true, force: true, maxRetries: 3 })
