import { join } from "node:path"
import { defineConfig } from "vitest/config"

const root = join(import.meta.dirname, "..")
const globalSetup = [join(import.meta.dirname, "support/global-setup.ts")]

const project = (name: string, include: ReadonlyArray<string>, test = {}) => ({
  root,
  test: { name, include: [...include], ...test }
})

/** Domain tests need no server, and files of them share what they import: nothing in there remembers anything. System tests build, boot and kill, so they come last, when nothing else runs. */
export default defineConfig({
  root,
  test: {
    maxWorkers: 2,
    reporters: ["default", join(import.meta.dirname, "support/closing-line-reporter.ts")],
    projects: [
      project("domain", ["test/{domain,projections,simulation}/**/*.test.ts"], { isolate: false, testTimeout: 30_000 }),
      project("house", ["test/*.test.ts"]),
      project("infra", ["test/infra/**/*.test.ts"], { globalSetup, testTimeout: 60_000, hookTimeout: 60_000 }),
      project("apps", ["test/apps/**/*.test.ts"], { globalSetup, testTimeout: 60_000, hookTimeout: 60_000 }),
      project("system", ["test/system/**/*.test.ts"], {
        globalSetup,
        testTimeout: 300_000,
        hookTimeout: 300_000,
        sequence: { groupOrder: 1 }
      })
    ]
  }
})
