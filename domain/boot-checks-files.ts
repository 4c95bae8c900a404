/** Whether the files and directories that were asked for are in a booted machine, and as they were asked for. Pure. */
import { type Judged, of } from "./boot-checks-judged.ts"
import type { SealedCustomizations } from "./customizations.ts"
import type { Facts } from "./ports/image-tests.ts"

/** In hexadecimal digits. */
export type Sha256 = (data: string, encoding: "utf8" | "base64") => string

type File = NonNullable<SealedCustomizations["files"]>[number]
type Directory = NonNullable<SealedCustomizations["directories"]>[number]

/** A program that the requester has had run in the machine may have changed anything of it. */
export const mayChange = ({ cloud_init, first_boot }: SealedCustomizations): boolean => cloud_init !== undefined || first_boot !== undefined

/** Those that a first boot has no reason to remove, or was not asked to. */
export const lookedFor = <Asked extends { readonly path: string }>({ first_boot }: SealedCustomizations, asked: ReadonlyArray<Asked>): ReadonlyArray<Asked> =>
  first_boot === undefined ? asked.filter(({ path }) => !/^(\/var)?\/(tmp|run)\//.test(path)) : []

export const placed = (customizations: SealedCustomizations, facts: Facts, sha256: Sha256): ReadonlyArray<Judged> => {
  const { directories = [], files = [] } = customizations
  const faultsOf = (asked: Directory | File) => mayChange(customizations) ? [] : [...owned(asked, facts), ...filled(asked, facts, sha256)]
  return lookedFor<Directory | File>(customizations, [...directories, ...files]).map((asked) => {
    const faults = facts.files.has(asked.path) ? faultsOf(asked) : ["it is not there"]
    return of(`file ${asked.path}`, faults.length === 0, faults.join("; "))
  })
}

/** What was not asked for is as it is. */
const owned = ({ group, mode, path, user }: Directory | File, { files, groups, users }: Facts): ReadonlyArray<string> => {
  const found = files.get(path)!
  return [
    ...(mode === undefined || Number.parseInt(mode, 8) === Number.parseInt(found.mode, 8) ? [] : [`its mode is ${found.mode}, not ${mode}`]),
    ...(isOf(user, found.uid, users.get(String(user))?.uid) ? [] : [`its owner is ${found.user}, not ${user}`]),
    ...(isOf(group, found.gid, groups.get(String(group))?.gid) ? [] : [`its group is ${found.group}, not ${group}`])
  ]
}

const isOf = (asked: string | number | undefined, found: number, named: number | undefined) =>
  asked === undefined || found === (typeof asked === "number" ? asked : named)

/** The machine says nothing of what it has written itself since it began. */
const filled = (asked: Directory | File, { files }: Facts, sha256: Sha256): ReadonlyArray<string> => {
  const found = files.get(asked.path)!.sha256
  const expected = "digest" in asked && asked.digest !== undefined
    ? asked.digest.slice("sha256:".length)
    : "data" in asked && asked.data !== undefined ? sha256(asked.data, asked.data_encoding === "base64" ? "base64" : "utf8") : undefined
  return expected === undefined || found === undefined || found === expected ? [] : [`its SHA-256 is ${found}, not ${expected}`]
}
