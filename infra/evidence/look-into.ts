/** What dpkg and the packages' copyright files say in an image that another's tool has made. */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { Clock, Effect } from "effect"
import type { InstalledPackage, Inventory, PackageSystem } from "../../domain/evidence/inventory.ts"
import { BuildFailed, type BuiltFile, type Report } from "../../domain/ports/image-builder.ts"
import { filesIn, inventoryOf } from "../debian/inventory.ts"
import { scriptPath } from "../debian/scripts.ts"
import { run } from "../process/run.ts"
import { isRoot, mappedPrefix, type Prefix } from "../sandbox/ids.ts"
import type { Limits } from "../sandbox/limits.ts"
import { confinedOrFail } from "../sandbox/sandbox.ts"

/** By path; empty, and a line of the log that says why, where it cannot be read. */
export type Files = ReadonlyMap<string, string>

const script = "perl \"$0/unpack-facts.pl\" \"$2\" \"$3\" && exec perl \"$1\" \"$3/tree\" \"$3/facts\""

/** Never a reason for a build to fail. */
export const lookInto = Effect.fn("evidence.lookInto")(function*(path: string, workspace: string, report: Report, limits: Limits) {
  const work = join(workspace, "looked-into")
  yield* Effect.tryPromise({ try: () => mkdir(work), catch: (error) => unread((error as Error).message) })
  const here = import.meta.dirname
  yield* confinedOrFail({
    argv: ["sh", "-c", script, here, scriptPath("inventory.pl"), path, work], cwd: work, env: { HOME: work, TMPDIR: work }
  }, { read: [here, dirname(scriptPath("inventory.pl")), path], write: [work] }, workspace, limits, ({ code, tail }) => unread(whyOf(tail) ?? `the look into it ended with ${code}`))
  return filesIn(yield* Effect.tryPromise({ try: () => readFile(join(work, "facts")), catch: (error) => unread((error as Error).message) })) as Files
}, (effect, _path, workspace, report) => effect.pipe(
  Effect.catch(({ message }) => Effect.as(Effect.sync(() => report.line(`what is in the image cannot be read: ${message}`)), new Map() as Files)),
  Effect.ensuring(clear(join(workspace, "looked-into")))
))

const unread = (message: string) => new BuildFailed({ class: "platform", message })
const whyOf = (tail: ReadonlyArray<string>) => tail.map((line) => /^kiln-unread: (.+)/.exec(line)?.[1]).find((why) => why !== undefined)

/** What is in there may belong to ids that are not ours. */
const clear = (dir: string) =>
  isRoot()
    ? Effect.promise(() => rm(dir, { recursive: true, force: true }))
    : Effect.ignore(run({ argv: [...mappedPrefix(), "rm", "-rf", "--one-file-system", "--", dir] as unknown as Prefix }))

export const osRelease = "/usr/lib/os-release"

/** It knows the distribution, which the operator may have named as he liked. */
export const systemIn = (files: Files): PackageSystem => {
  const release = files.get(osRelease) ?? ""
  const field = (name: string) => new RegExp(`^${name}=["']?([a-z0-9._-]+)["']?$`, "m").exec(release)?.[1]
  const [vendor, version] = [field("ID"), field("VERSION_ID")]
  return vendor === undefined ? { type: "deb" } : { type: "deb", vendor, distribution: version === undefined ? vendor : `${vendor}-${version}` }
}

/** By dpkg's own word. `undefined` where dpkg has none. */
export const dpkgInventory = (files: Files, epoch: number): Inventory | undefined => {
  const { licenses, packages } = inventoryOf(files, epoch, {})
  return packages.length === 0 ? undefined : { epoch, packages, licenses, origin: "what dpkg says is installed in the image", system: systemIn(files) }
}

/** By somebody else's word, with all that the image itself says of the same packages. */
export const listedInventory = (listed: ReadonlyArray<InstalledPackage>, files: Files, epoch: number, origin: string, system: PackageSystem): Inventory => {
  const known = new Map(inventoryOf(files, epoch, {}).packages.map((item) => [keyOf(item), item]))
  const { licenses, packages } = inventoryOf(files, epoch, {}, listed.map((item) => known.get(keyOf(item)) ?? item))
  return { epoch, packages, licenses, origin, system }
}

const keyOf = ({ architecture, name, version }: InstalledPackage) => `${name} ${version} ${architecture}`

/** In the workspace, for the file that it is about. */
export const writtenInventory = Effect.fnUntraced(function*(inventory: Inventory | undefined, workspace: string, otherwise = "") {
  if (inventory === undefined) return { noBill: otherwise } satisfies Pick<BuiltFile, "noBill">
  const path = join(workspace, "inventory.json")
  return yield* Effect.tryPromise(() => writeFile(path, JSON.stringify(inventory))).pipe(
    Effect.as({ inventory: path } satisfies Pick<BuiltFile, "inventory">),
    Effect.orElseSucceed(() => ({ noBill: "the list of its packages could not be written" }))
  )
})

/** Seconds since 1970. */
export const now = Effect.map(Clock.currentTimeMillis, (millis) => Math.floor(millis / 1000))
