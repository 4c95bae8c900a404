/** Skips the tests of the block it is called in, and says why. */
import { accessSync, constants } from "node:fs"
import { join } from "node:path"
import { beforeEach } from "vitest"

export const skipWhere = (condition: boolean, reason: string) => beforeEach(({ skip }) => skip(condition, reason))

/** Programs without which the tests of the block cannot run. */
export const needs = (...programs: ReadonlyArray<string>) => {
  const missing = programs.filter((program) => !onPath(program))
  skipWhere(missing.length > 0, `this machine has no ${missing.join(", ")}`)
}

const onPath = (program: string) =>
  [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/sbin"].some((dir) => {
    try {
      accessSync(join(dir, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
