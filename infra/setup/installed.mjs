// Exits 0 when node_modules holds what package-lock.json asks for, whoever installed it. Runs on any Node.
import { readFileSync } from "node:fs"

const packages = (path) => JSON.parse(readFileSync(path, "utf8")).packages
try {
  const installed = packages("node_modules/.package-lock.json")
  const missing = Object.entries(packages("package-lock.json")).filter(([path, { optional, version }]) =>
    path !== "" && installed[path]?.version !== version && !(optional && installed[path] === undefined)
  )
  process.exitCode = missing.length > 0 ? 1 : 0
} catch {
  process.exitCode = 1
}
