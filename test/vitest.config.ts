import { join } from "node:path"
import { defineConfig } from "vitest/config"

const root = join(import.meta.dirname, "..")
const globalSetup = [join(import.meta.dirname, "support/global-setup.ts")]

/**
 * Where no one looks on, a test that lives among servers and processes may fail once: a machine that is busy with something else is no reason
 * to refuse a change. It is told at the end of the run (closing-line-reporter.ts), and to be mended all the same.
 */
const retry = process.env["CI"] === undefined ? 0 : 1

const project = (name: string, include: ReadonlyArray<string>, test = {}) => ({
  root,
  // What is waited for comes late on a busy machine, and a second is the default.
  test: { name, include: [...include], expect: { poll: { timeout: 60_000 } }, ...test }
})

/** Domain tests need no server, and files of them share what they import: nothing in there remembers anything. System tests build, boot and kill, so they come last, when nothing else runs. */
export default defineConfig({
  root,
  test: {
    maxWorkers: 2,
    reporters: ["default", join(import.meta.dirname, "support/closing-line-reporter.ts")],
    projects: [
      project("domain", ["test/{domain,projections,simulation}/**/*.test.ts"], { isolate: false, testTimeout: 30_000 }),
      project("house", ["test/*.test.ts"], { testTimeout: 60_000 }),
      project("infra", ["test/infra/**/*.test.ts"], { globalSetup, retry, testTimeout: 180_000, hookTimeout: 180_000 }),
      project("apps", ["test/apps/**/*.test.ts"], { globalSetup, retry, testTimeout: 180_000, hookTimeout: 180_000 }),
      project("system", ["test/system/**/*.test.ts"], {
        globalSetup, retry,
        testTimeout: 600_000,
        hookTimeout: 600_000,
        sequence: { groupOrder: 1 }
      })
    ]
  }
})
