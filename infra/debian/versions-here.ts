/** Which versions of packages this machine has, asked anew when its dpkg has changed anything. */
import { statSync } from "node:fs"
import { Effect } from "effect"
import { run } from "../process/run.ts"

/** Those whose versions may show in a tree. */
const treeMakers = ["apt", "dpkg", "mmdebstrap", "tar"]
const makers = [
  ...treeMakers, "btrfs-progs", "dosfstools", "e2fsprogs", "fdisk", "isolinux", "mtools", "pigz", "qemu-utils", "squashfs-tools", "syslinux",
  "systemd-boot-efi", "xorriso", "zstd"
]

type Versions = Readonly<Record<string, string>>

const asked = Effect.map(
  run({ argv: ["dpkg-query", "-W", "-f", "${db:Status-Abbrev}|${Package}|${Version}\n", ...makers], collect: true }),
  ({ stdout }): Versions =>
    Object.fromEntries(stdout.split("\n").flatMap((line) => {
      const [status, name, version] = line.split("|")
      return status?.startsWith("ii") && name && version ? [[name, version]] : []
    }).sort())
)

let known: { readonly stamp: string; readonly versions: Versions } | undefined

const stampOf = () => {
  const stats = statSync("/var/lib/dpkg/status", { throwIfNoEntry: false })
  return `${stats?.mtimeMs} ${stats?.ino}`
}

/** Of the programs that make an image, those that are here. */
export const makersHere = Effect.suspend(() => {
  const stamp = stampOf()
  return known?.stamp === stamp
    ? Effect.succeed(known.versions)
    : Effect.tap(asked, (versions) => Effect.sync(() => (known = { stamp, versions })))
})

export const treeMakersHere = Effect.map(makersHere, (versions) => treeMakers.map((name) => `${name} ${versions[name]}`).join("\n"))
