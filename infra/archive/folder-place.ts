/** An archive in a folder. */
import { randomUUID } from "node:crypto"
import { mkdir, open, readFile, rename, rm } from "node:fs/promises"
import { dirname, join, resolve } from "node:path"
import type { Place } from "./place.ts"

export const folderPlace = (folder: string): Place => {
  const root = resolve(folder)
  return {
    words: root,
    put: async (name, bytes) => {
      const path = join(root, name)
      const made = await mkdir(dirname(path), { recursive: true })
      const partial = `${path}.${randomUUID()}.partial`
      try {
        await written(partial, bytes)
        await rename(partial, path)
      } catch (error) {
        await rm(partial, { force: true })
        throw error
      }
      await synced(dirname(path))
      // A new folder is an entry of the one above it.
      if (made !== undefined) for (let at = dirname(path); at.length >= dirname(made).length && at !== dirname(at); at = dirname(at)) await synced(at)
    },
    get: (name) =>
      readFile(join(root, name)).catch((error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return undefined
        throw error
      })
  }
}

const written = async (path: string, bytes: Uint8Array) => {
  const file = await open(path, "wx", 0o640)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

const synced = async (folder: string) => {
  const handle = await open(folder, "r")
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
