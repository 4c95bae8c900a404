/** What Kiln's processes are told by their environment, as far as the home decides it. */
import { randomBytes } from "node:crypto"
import { accessSync, constants } from "node:fs"
import { join } from "node:path"
import { readOr, writePrivate } from "../../infra/process/server-folder.ts"
import { pool } from "./tokens.ts"

export const environment = (home: string): NodeJS.ProcessEnv => ({
  ...process.env,
  NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] ?? compileCacheOf(home),
  KILN_HOME: home,
  KILN_INSTANCE: instanceOf(home),
  KILN_DEPLOYMENT: process.env["KILN_DEPLOYMENT"] ?? instanceOf(home),
  KILN_PARTITIONS: process.env["KILN_PARTITIONS"] ?? "1",
  KILN_REPLICAS: "1",
  KILN_KEYS: join(home, "keys"),
  KILN_ARTIFACTS: join(home, "artifacts"),
  KILN_ARCHIVE: archiveOf(home),
  KILN_CACHE: join(home, "cache"),
  KILN_WORK: join(home, "work"),
  KILN_POOL: pool,
  // One port for all of them would go to one of them.
  KILN_ADMIN_PORT: undefined
})

const packages = join(import.meta.dirname, "../../node_modules")

/** Beside what was compiled, for all homes of this installation; where that is not ours to write, in the home. */
const compileCacheOf = (home: string): string => {
  try {
    accessSync(packages, constants.W_OK)
    return join(packages, ".cache/kiln")
  } catch {
    return join(home, "compile-cache")
  }
}

/** Where periods of the log go that are over. */
export const archiveOf = (home: string): string => process.env["KILN_ARCHIVE"] ?? join(home, "archive")

/** The same at every start of this home, so that a lease of the run before is our own. */
const instanceOf = (home: string) => {
  const path = join(home, "instance")
  const known = readOr(path, "").trim()
  if (known !== "") return known
  const made = `home-${randomBytes(6).toString("hex")}`
  writePrivate(path, `${made}\n`)
  return made
}
