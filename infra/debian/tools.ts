/** What a worker of this builder needs, and what this machine has of it. */
import { existsSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { Effect } from "effect"
import { isRoot } from "../sandbox/ids.ts"
import { sandboxPrefix } from "../sandbox/sandbox.ts"
import { canWrite } from "./namespaces.ts"
import { path, run } from "../process/run.ts"

/** Program or file, and the Debian package it comes with. */
const needs: ReadonlyArray<readonly [needed: string, from: string]> = [
  ["mmdebstrap", "mmdebstrap"],
  ["apt-get", "apt"],
  ["dpkg-deb", "dpkg"],
  ["unshare", "util-linux"],
  ["setpriv", "util-linux"],
  ["flock", "util-linux"],
  ["sfdisk", "fdisk"],
  ["mke2fs", "e2fsprogs"],
  ["debugfs", "e2fsprogs"],
  ["mkfs.vfat", "dosfstools"],
  ["mcopy", "mtools"],
  ["syslinux", "syslinux"],
  ["/usr/lib/SYSLINUX/gptmbr.bin", "syslinux-common"],
  ["/usr/lib/systemd/boot/efi/systemd-bootx64.efi", "systemd-boot-efi"],
  ["qemu-img", "qemu-utils"],
  ["zstd", "zstd"],
  ["awk", "mawk"],
  ["perl", "perl"],
  ["/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring"]
]

/** Needed only where the worker is no root. */
const unprivilegedNeeds: typeof needs = [["newuidmap", "uidmap"]]

/** Without them other images are built; those that need them fail, and say what is missing. */
const needsOfSome: typeof needs = [
  ["pigz", "pigz"],
  ["mksquashfs", "squashfs-tools"],
  ["mkfs.btrfs", "btrfs-progs"],
  ["xorriso", "xorriso"],
  ["/usr/lib/ISOLINUX/isolinux.bin", "isolinux"]
]

/** The Debian packages for a worker of this builder, on Debian 12 or 13. */
export const workerPackages: ReadonlyArray<string> = [
  ...new Set([...needs, ...needsOfSome, ...unprivilegedNeeds].map(([, from]) => from))
]
  .filter((name) => !["apt", "dpkg", "mawk", "perl", "util-linux"].includes(name))
  .sort()

/** For booting what was built. */
export const bootPackages: ReadonlyArray<string> = ["openssh-client", "ovmf", "qemu-system-x86", "qemu-utils"]

export interface Probe {
  /** Whether this builder can work here. */
  readonly ready: boolean
  /** One sentence for people; what to install or to change, if anything. */
  readonly summary: string
  readonly features: {
    readonly root: boolean
    readonly userns: boolean
    readonly kvm: boolean
    /** A tmpfs of 1 GiB can be had. */
    readonly memory: boolean
  }
  readonly missing: ReadonlyArray<string>
  readonly install: ReadonlyArray<string>
  /** Package and version of each tool, for the provenance of what is built. */
  readonly versions: Readonly<Record<string, string>>
}

const has = (needed: string) =>
  needed.startsWith("/") ? existsSync(needed) : path.split(":").some((folder) => existsSync(`${folder}/${needed}`))

const works = (argv: readonly [string, ...ReadonlyArray<string>]) =>
  run({ argv }).pipe(
    Effect.map(({ code }) => code === 0),
    Effect.orElseSucceed(() => false)
  )

const versionsOf = (names: ReadonlyArray<string>) =>
  run({ argv: ["dpkg-query", "-W", "-f", "${Package}\t${Version}\n", ...names], collect: true }).pipe(
    Effect.map(({ stdout }) =>
      Object.fromEntries(
        stdout
          .split("\n")
          .filter((line) => /\t./.test(line))
          .map((line) => line.split("\t") as [string, string])
      )
    ),
    Effect.orElseSucceed((): Record<string, string> => ({}))
  )

/** Finds out by doing; takes about 50 ms. */
export const probe: Effect.Effect<Probe> = Effect.gen(function*() {
  const root = isRoot()
  const wanted = root ? needs : [...needs, ...unprivilegedNeeds]
  const missing = wanted.filter(([needed]) => !has(needed))
  const install = [...new Set(missing.map(([, from]) => from))].sort()
  const userns = yield* works(["unshare", "--user", "--map-root-user", "--map-auto", "--mount", "true"])
  const namespaces = yield* works([...sandboxPrefix({ read: [], write: [] }), "mount", "-t", "tmpfs", "kiln", "/tmp"])
  const memory = yield* Effect.promise(() =>
    readFile("/proc/meminfo", "utf8").then(
      (text) => Number(/^MemAvailable:\s+(\d+)/m.exec(text)?.[1]) > 2 * 2 ** 20,
      () => false
    )
  )
  const cpu = yield* Effect.promise(() => readFile("/proc/cpuinfo", "utf8").catch(() => ""))
  const kvm = /^flags\s.*\b(vmx|svm)\b/m.test(cpu) && (yield* Effect.promise(() => canWrite("/dev/kvm")))
  const ready = missing.length === 0 && namespaces
  const complaints = [
    ...(install.length > 0 ? [`install ${install.join(" ")}`] : []),
    ...(namespaces
      ? []
      : [
          root
            ? "allow this container to mount and to make user and process namespaces"
            : "give this user a range in /etc/subuid and /etc/subgid and allow unprivileged user namespaces, " +
              "or run the worker as root"
        ])
  ]
  return {
    ready,
    summary: ready
      ? "the debian builder can work here"
      : `the debian builder cannot work here: ${complaints.join("; ")}`,
    features: { root, userns, kvm, memory },
    missing: missing.map(([needed]) => needed),
    install,
    versions: yield* versionsOf([...new Set([...wanted, ...needsOfSome].map(([, from]) => from))])
  }
})
