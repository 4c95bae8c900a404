/** What is in a tree that was built: packages by dpkg's own word, licenses by their copyright files. */
import { readFile, writeFile } from "node:fs/promises"
import { Effect } from "effect"
import type { InstalledPackage, Inventory, OwnLicense } from "../../domain/evidence/inventory.ts"
import { spdxOf } from "../../domain/evidence/licenses.ts"
import { licensesOf, paragraphsOf } from "./copyright-file.ts"
import { diskFailure } from "./failures.ts"
import { makersHere } from "./versions-here.ts"

/** The files that `inventory.pl` has found, by path. */
export const filesIn = (facts: Buffer): ReadonlyMap<string, string> => {
  const files = new Map<string, string>()
  for (let at = 0; at < facts.length;) {
    const lineEnd = facts.indexOf(10, at)
    const [, size, path] = /^(\d+) (.+)$/.exec(facts.toString("utf8", at, lineEnd)) ?? []
    if (lineEnd < 0 || size === undefined || path === undefined) break
    const begin = lineEnd + 1
    files.set(path, facts.toString("utf8", begin, begin + Number(size)))
    at = begin + Number(size) + 1
  }
  return files
}

type Installed = Omit<InstalledPackage, "license">

const statusPath = "/var/lib/dpkg/status"

const installedIn = (status: string): ReadonlyArray<Installed> =>
  paragraphsOf(status).flatMap((fields) => {
    const [name, version, architecture] = ["package", "version", "architecture"].map((field) => fields.get(field))
    if (!fields.get("status")?.endsWith(" installed") || name === undefined || version === undefined || architecture === undefined) return []
    const [, source = name, sourceVersion = version] = /^(\S+)(?:\s+\((.+)\))?$/.exec(fields.get("source") ?? "") ?? []
    const maintainer = fields.get("maintainer")
    return [{ name, version, architecture, source: { name: source, version: sourceVersion }, ...(maintainer !== undefined && { maintainer }) }]
  })

const copyrightOf = (name: string) => `/usr/share/doc/${name}/copyright`

/** `listed`: what is installed by somebody else's word. */
export const inventoryOf = (
  files: ReadonlyMap<string, string>, epoch: number, tools: Readonly<Record<string, string>>, listed?: ReadonlyArray<Installed>
): Inventory => {
  const installed = listed ?? installedIn(files.get(statusPath) ?? "")
  const own = new Map<string, OwnLicense>()
  const packages = installed.map((item): InstalledPackage => {
    const path = documented(item, installed, files)
    const names = path === undefined ? undefined : licensesOf(files.get(path)!)
    if (names === undefined) return item
    const license = spdxOf(names, item.source?.name ?? item.name)
    for (const { id, name } of license.own) {
      if (!own.has(id)) own.set(id, { id, name, text: `What ${path} in the image calls "${name}"; the text is there.` })
    }
    return { ...item, license: license.expression }
  })
  return { epoch, packages, licenses: [...own.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1)), tools }
}

/** A package may point to the documentation of another of its source in place of its own, by a link or by dependence alone. */
const documented = ({ name, source }: Installed, all: ReadonlyArray<Installed>, files: ReadonlyMap<string, string>) =>
  [name, ...all.filter((other) => source !== undefined && other.source?.name === source.name && other.source.version === source.version).map((other) => other.name)]
    .map(copyrightOf)
    .find((path) => files.has(path))

/** Makes an inventory of what `inventory.pl` has left in `facts`. */
export const writeInventory = Effect.fn("debian.inventory")(function*(facts: string, out: string, epoch: number) {
  const tools = yield* makersHere
  yield* Effect.tryPromise({
    try: async () => writeFile(out, JSON.stringify(inventoryOf(filesIn(await readFile(facts)), epoch, tools))),
    catch: diskFailure("making the inventory")
  })
  return out
})
