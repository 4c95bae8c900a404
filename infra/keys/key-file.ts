/** Secrets that live as small files, readable by their owner alone and made at first use. */
import { randomBytes } from "node:crypto"
import { link, mkdir, open, readFile, rm } from "node:fs/promises"
import { basename, dirname, join } from "node:path"

/** The file's text, or `undefined` when there is none. */
export const readKeyFile = async (file: string): Promise<string | undefined> => {
  try {
    return await readFile(file, "utf8")
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined
    throw error
  }
}

/**
 * The file's text, written first if there is none. A link either appears whole or not at all and never replaces
 * another, so all processes that come at once go on with the same text.
 */
export const keyFile = async (file: string, make: () => string | Promise<string>): Promise<string> => {
  const there = await readKeyFile(file)
  if (there !== undefined) return there
  const folder = dirname(file)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const draft = join(folder, `.${basename(file)}.${process.pid}.${randomBytes(6).toString("hex")}`)
  try {
    await writeDurably(draft, await make())
    await link(draft, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error
    })
  } finally {
    await rm(draft, { force: true })
  }
  await syncFolder(folder)
  return keyFile(file, make)
}

const writeDurably = async (file: string, text: string) => {
  const handle = await open(file, "wx", 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** A key whose name is lost in a crash would be made anew, and all it sealed be lost with it. */
const syncFolder = async (folder: string) => {
  const handle = await open(folder, "r")
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
