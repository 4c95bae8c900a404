/** What tenants can make any number of: states of apt with their own repositories, and what was resolved for them. */
import { readdir, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"

/** The folder that they are in. Those of earlier versions share files with everybody's lists, and must not be given to a sandbox. */
export const ownStates = "foreign"
const outdated = "own"

const hour = 3_600_000
const most = 24

/** A state's folder is changed whenever it is used, at least once an hour; so none that is in use is ever removed. */
export const tidyOwnStates = (cacheDir: string): Effect.Effect<void> =>
  Effect.promise(async () => {
    const folder = join(cacheDir, "apt", ownStates)
    await rm(join(cacheDir, "apt", outdated), { recursive: true, force: true }).catch(() => {})
    const names = await readdir(folder).catch(() => [])
    const states = await Promise.all(
      names.map(async (name) => {
        const path = join(folder, name)
        return { path, age: Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now()) }
      })
    )
    const newestFirst = states.sort((a, b) => a.age - b.age)
    await Promise.all(
      newestFirst
        .filter(({ age }, at) => age > 24 * hour || (at >= most && age > hour))
        .map(({ path }) => rm(path, { recursive: true, force: true }).catch(() => {}))
    )
  })

const mostResolved = 1000

/** The older half of what was resolved goes when there is too much; all of it goes with its index. */
export const tidyResolved = async (folder: string): Promise<void> => {
  const names = await readdir(folder)
  if (names.length <= mostResolved) return
  const aged = await Promise.all(
    names.map(async (name) => ({ name, at: (await stat(join(folder, name)).catch(() => undefined))?.mtimeMs ?? 0 }))
  )
  const oldest = aged.sort((a, b) => a.at - b.at).slice(0, names.length >> 1)
  await Promise.all(oldest.map(({ name }) => rm(join(folder, name), { force: true })))
}
