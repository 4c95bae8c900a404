/**
 * Folders of those who work with a cache: what they take out and what they are about to put in lies there, on the cache's
 * file system. Each is named after its process, so that what a killed one leaves is known for what it is.
 */
import { createHash, randomBytes } from "node:crypto"
import { readFileSync, readlinkSync } from "node:fs"
import { mkdir, readdir, rm, stat } from "node:fs/promises"
import { join } from "node:path"

const day = 86_400_000

/** Process numbers mean something within one boot and one process namespace only. */
const here = createHash("sha256")
  .update(readFileSync("/proc/sys/kernel/random/boot_id"))
  .update(readlinkSync("/proc/self/ns/pid"))
  .digest("hex")
  .slice(0, 12)

/** When a process began, in ticks since the boot: its number may be somebody else's by now. */
const beginOf = (pid: string): string | undefined => {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8")
    return text.slice(text.lastIndexOf(")") + 2).split(" ")[19]
  } catch {
    return undefined
  }
}

const self = `${here}.${process.pid}.${beginOf(String(process.pid))}`

export const ownersFolder = (cache: string) => join(cache, "in-use")

/** A new one, empty. */
export const makeOwner = async (cache: string): Promise<string> => {
  const dir = join(ownersFolder(cache), `${self}.${randomBytes(6).toString("hex")}`)
  await mkdir(dir, { recursive: true })
  return dir
}

/** Of another boot or namespace nothing is known but how long it has been still. */
const isAlive = async (cache: string, name: string): Promise<boolean> => {
  const [where, pid = "", begin] = name.split(".")
  if (where === here) return beginOf(pid) === begin
  const { mtimeMs } = await stat(join(ownersFolder(cache), name))
  return Date.now() - mtimeMs < day
}

/** Removes what nobody owns any more. */
export const removeOrphans = async (cache: string): Promise<void> => {
  for (const name of await readdir(ownersFolder(cache)).catch(() => [])) {
    if (await isAlive(cache, name).catch(() => true)) continue
    await rm(join(ownersFolder(cache), name), { recursive: true, force: true }).catch(() => {})
  }
}
