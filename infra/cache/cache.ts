/**
 * What was fetched or made once and may be wanted again: a file an entry, named by its content or by all that decides on
 * it. Shared by all processes of a machine. An entry appears whole or not at all; what somebody works with stays for him,
 * by a second name, though the cache forgets it.
 */
import { constants } from "node:fs"
import { copyFile, link, lstat, mkdir, rename, rm, stat, statfs, utimes } from "node:fs/promises"
import { randomBytes } from "node:crypto"
import { basename, dirname, join } from "node:path"
import { Effect, type Scope } from "effect"
import { entriesOf, evict, kinds, type Kind } from "./entries.ts"
import { evicted, held, hit, miss } from "./metrics.ts"
import { makeOwner, removeOrphans } from "./owners.ts"

export interface Cache {
  readonly dir: string
  /** Where one piece of work keeps what it has taken; gone with the scope, and then the cache is brought within its bound. */
  readonly shelf: Effect.Effect<Shelf, Error, Scope.Scope>
  /** Removes what killed processes have left, and what is too much. */
  readonly tidy: Effect.Effect<void>
}

export interface Shelf {
  /** On the cache's file system; whatever else is made in it goes too. */
  readonly dir: string
  /** Gives an entry a name in here and answers with it, or with `undefined` when there is none, or none of that size. */
  take(kind: Kind, name: string, options?: TakeOptions): Effect.Effect<string | undefined, Error>
  /** Makes a file of this folder an entry; it keeps its name here. Who comes second finds the same there already. */
  put(kind: Kind, name: string, path: string): Effect.Effect<void, Error>
  /** What turned out to be wrong. */
  drop(kind: Kind, name: string): Effect.Effect<void>
}

interface TakeOptions {
  /** The name here, if not that of the entry. */
  readonly as?: string
  /** Entries of another size are thrown out. */
  readonly size?: number
}

const tried = <A>(use: () => Promise<A>) => Effect.tryPromise({ try: use, catch: (error) => error as Error })

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code

/** A fifth of the disk. */
const usualBytes = async (dir: string): Promise<number> => {
  const { blocks, bsize } = await statfs(dir)
  return Math.floor((blocks * bsize) / 5)
}

export const cacheAt = (dir: string, bytes?: number): Cache => {
  const tidy = Effect.gen(function*() {
    yield* Effect.promise(() => removeOrphans(dir))
    const entries = yield* Effect.promise(() => entriesOf(dir))
    const bound = bytes ?? (yield* Effect.promise(() => usualBytes(dir).catch(() => Infinity)))
    const gone = yield* Effect.promise(() => evict(entries, bound))
    for (const { kind } of gone) yield* evicted(kind)
    const left = entries.filter((entry) => !gone.includes(entry))
    for (const kind of kinds)
      yield* held(kind, left.reduce((sum, entry) => sum + (entry.kind === kind ? entry.size : 0), 0))
  }).pipe(Effect.catchCause((cause) => Effect.logWarning("the cache could not be tidied", cause)))

  const shelf = Effect.gen(function*() {
    let hasGrown = false
    const own = yield* Effect.acquireRelease(tried(() => makeOwner(dir)), (path) =>
      Effect.promise(() => rm(path, { recursive: true, force: true }).catch(() => {})).pipe(
        Effect.andThen(Effect.suspend(() => (hasGrown ? tidy : Effect.void)))
      ))
    return {
      dir: own,
      take: Effect.fnUntraced(function*(kind, name, { as = name, size } = {}) {
        const taken = yield* tried(() => takeOut(join(dir, kind, name), join(own, as), size))
        yield* taken ? hit(kind) : miss(kind)
        return taken ? join(own, as) : undefined
      }),
      put: (kind, name, path) => {
        hasGrown = true
        return tried(() => putIn(path, join(dir, kind, name)))
      },
      drop: (kind, name) => Effect.promise(() => rm(join(dir, kind, name), { force: true }).catch(() => {}))
    } satisfies Shelf as Shelf
  })

  return { dir, shelf, tidy }
}

const takeOut = async (entry: string, place: string, size: number | undefined): Promise<boolean> => {
  try {
    await linkOrCopy(entry, place)
  } catch (error) {
    if (codeOf(error) === "ENOENT" && (await isThere(dirname(place)))) return false
    throw error
  }
  if (size !== undefined && (await stat(place)).size !== size) {
    await rm(entry, { force: true })
    await rm(place, { force: true })
    return false
  }
  const now = new Date()
  // The two names are one file, unless it had to be copied.
  await utimes(entry, now, now).catch(() => {})
  return true
}

const isThere = (path: string) => stat(path).then(() => true, () => false)

const putIn = async (path: string, entry: string): Promise<void> => {
  // Strangers' programs may have made it.
  if (!(await lstat(path)).isFile()) throw new Error(`${path} is no file`)
  await mkdir(dirname(entry), { recursive: true })
  const now = new Date()
  await utimes(path, now, now)
  try {
    await link(path, entry)
  } catch (error) {
    if (codeOf(error) === "EEXIST") return
    if (!cannotLink.has(codeOf(error) ?? "")) throw error
    const arriving = join(dirname(entry), `.${basename(entry)}.${randomBytes(6).toString("hex")}.new`)
    // Of what it cannot copy whole it leaves nothing.
    await copyFile(path, arriving)
    await rename(arriving, entry)
  }
}

/** The parts of a cache may lie on several file systems, or one that has no links. */
const cannotLink = new Set(["EXDEV", "EPERM", "EMLINK", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"])

const linkOrCopy = (from: string, to: string): Promise<void> =>
  link(from, to).catch((error: unknown) => {
    if (!cannotLink.has(codeOf(error) ?? "")) throw error
    return copyFile(from, to, constants.COPYFILE_EXCL)
  })
