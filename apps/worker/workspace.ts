/** Where a job works. Making and removing an empty folder takes less than asking a thread to. */
import { mkdtempSync, rmdirSync } from "node:fs"
import { mkdir, rm } from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import type { WorkItem } from "../../domain/work.ts"

/** An empty folder, gone afterwards whatever happens; a job that works on no files has none. */
export const inWorkspace = <A, E, R>(workDir: string, { jobId, kind }: WorkItem, use: (workspace: string) => Effect.Effect<A, E, R>) =>
  kind === "upload" ? use(workDir) : Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(workDir, `${jobId}-`))),
    use,
    // What was built has been moved away, as a rule, and nothing is left in it.
    (workspace) => Effect.try(() => rmdirSync(workspace)).pipe(
      Effect.catch(() => Effect.promise(() => rm(workspace, { recursive: true, force: true, maxRetries: 3 }))))
  )

/** What an earlier run left behind when it was killed. */
export const clean = async (workDir: string) => {
  await rm(workDir, { recursive: true, force: true, maxRetries: 3 })
  await mkdir(workDir, { recursive: true })
}
