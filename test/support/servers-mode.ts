import { Effect } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export const inContainers = process.env["KILN_TEST_SERVERS"] === "containers"

/** A folder that goes with the scope. */
export const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "kiln-test-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true, maxRetries: 3 }))
)
