/** The programs of this folder that are no TypeScript, and digests that stand for texts. */
import { createHash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { sandboxDir } from "../sandbox/sandbox.ts"

export const scriptPath = (name: string) => join(import.meta.dirname, "scripts", name)
export const guestDir = join(import.meta.dirname, "guest")

/** Of the files that decide what is in a base tree. */
export const baseScriptsDigest = (): string => {
  const hash = createHash("sha256")
  for (const name of ["base-tree.sh", "essential.sh", "base-hook.sh", "slim.sh"])
    hash.update(readFileSync(scriptPath(name)))
  hash.update(readFileSync(join(sandboxDir, "sandbox.pl")))
  return hash.digest("hex")
}

/** Of every file of this builder, and of its sandbox: any of them may decide what is in an image. */
export const builderDigest = (): string => {
  const hash = createHash("sha256")
  for (const root of [import.meta.dirname, sandboxDir]) {
    for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((item) => item.isFile())
      .map((item) => join(item.parentPath, item.name))
      .sort()) {
      hash.update(entry.slice(root.length)).update("\0").update(readFileSync(entry)).update("\0")
    }
  }
  return hash.digest("hex")
}
