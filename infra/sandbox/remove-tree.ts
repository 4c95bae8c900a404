import { rm } from "node:fs/promises"
import { Effect } from "effect"
import { run } from "../process/run.ts"
import { isRoot, mappedPrefix, type Prefix } from "./ids.ts"

/** Removes a folder of a build. What it made as a user of many ids, only such a user can remove. */
export const removeTree = async (path: string): Promise<void> => {
  try {
    await rm(path, { recursive: true, force: true, maxRetries: 3 })
  } catch (error) {
    if (isRoot()) throw error
    const argv = [...mappedPrefix(), "rm", "-rf", "--one-file-system", "--", path] as unknown as Prefix
    const { code, tail } = await Effect.runPromise(run({ argv }))
    if (code !== 0) throw new Error(`${path} cannot be removed: ${tail.at(-1) ?? code}`, { cause: error })
  }
}
