/** The distributions this builder knows: where they come from and what every image of them holds. */
import { existsSync, readFileSync } from "node:fs"
import { Architecture } from "../../domain/ids.ts"
import type { DistributionInfo } from "../../domain/ports/image-builder.ts"
import { imageTypes } from "./image-types/all.ts"
import { asksCloud, type Base, type Family, type ImageType, isDisk } from "./image-types/image-type.ts"

export type Archive = "debian" | "security" | "ubuntu"

export interface Release {
  readonly id: string
  readonly name: string
  readonly suite: string
  readonly components: string
  readonly sources: ReadonlyArray<{ readonly archive: Archive; readonly suite: string }>
  readonly keyring: string
  readonly family: Family
  /** As Debian calls it. */
  readonly architecture: string
  /** What an image holds beside what is essential, and apt. Of a release itself: a virtual machine of x86_64. */
  readonly base: ReadonlyArray<string>
}

export const builderName = "debian"

const common = [
  // zstd makes the initramfs small and fast; without it gzip is used silently.
  "zstd",
  "udev",
  "dbus",
  "iproute2",
  "netbase",
  "openssh-server",
  "sudo",
  "systemd-sysv",
  "systemd-resolved",
  "systemd-timesyncd",
  // No longer essential in Debian 13, where the console would restart for ever without it.
  "login",
  // The root file system is checked, and grown to the disk, at boot.
  "e2fsprogs",
  "fdisk"
]

const debian = (version: number, suite: string): Release => ({
  id: `debian-${version}`,
  name: `Debian ${version}`,
  suite,
  components: "main",
  sources: [
    { archive: "debian", suite },
    { archive: "debian", suite: `${suite}-updates` },
    { archive: "security", suite: `${suite}-security` }
  ],
  keyring: "/usr/share/keyrings/debian-archive-keyring.gpg",
  family: "debian",
  architecture: "amd64",
  base: ["linux-image-cloud-amd64", ...common]
})

export const releases: ReadonlyArray<Release> = [
  debian(12, "bookworm"),
  debian(13, "trixie"),
  {
    id: "ubuntu-24.04",
    name: "Ubuntu 24.04",
    suite: "noble",
    components: "main universe",
    sources: ["noble", "noble-updates", "noble-security"].map((suite) => ({ archive: "ubuntu", suite })),
    keyring: "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
    family: "ubuntu",
    architecture: "amd64",
    base: ["linux-image-virtual", "initramfs-tools", ...common]
  }
]

/** Debian's names of the architectures. */
export const debianArchitectures: Record<Architecture, string> = { x86_64: "amd64", aarch64: "arm64" }

/** For any hardware, where the other kernel is for that of clouds and hypervisors. */
const anyKernel = { debian: "linux-image-amd64", ubuntu: "linux-image-generic" }
const live = ["live-boot", "live-boot-initramfs-tools"]

const basesOf = ({ base, family }: Release): Record<Base, ReadonlyArray<string>> => ({
  virtual: base,
  cloud: [...base, "cloud-init"],
  live: [...base.map((name) => (name.startsWith("linux-image-") ? anyKernel[family] : name)), ...live],
  // What is essential; one name of it, since mmdebstrap asks for one.
  minimal: ["base-files"]
})

/** A worker of another architecture has not the program that UEFI starts, so the image brings it. */
const ofArchitecture = (names: ReadonlyArray<string>, architecture: string): ReadonlyArray<string> =>
  architecture === "amd64" || !names.some((name) => name.startsWith("linux-image-"))
    ? names
    : [...names.map((name) => name.replace(/^(linux-image-.*)amd64$/, `$1${architecture}`)), "systemd-boot-efi"]

/** The release with what every image of a type and an architecture holds. */
export const releaseFor = (release: Release, { base }: ImageType, architecture: string): Release => ({
  ...release,
  architecture,
  base: ofArchitecture(basesOf(release)[base], architecture)
})

const infoOf = (release: Release, architectures: ReadonlyArray<Architecture>): DistributionInfo => ({
  id: release.id,
  name: release.name,
  builder: builderName,
  resolves: true,
  reproducible: true,
  filesByDigest: true,
  architectures: architectures.map((architecture) => ({
    architecture,
    imageTypes: imageTypes.map((type) => ({
      type: type.name, description: type.description, options: type.options, bootable: type.bootable, disk: isDisk(type.format),
      ...(type.unfit && { unfit: type.unfit }), ...(asksCloud(type) && { ownUserData: true as const })
    }))
  }))
})

/** Where programs of this architecture run: on a machine of it, or where the kernel hands them to an emulator that no tree has to have (`F`). */
const runsHere = (architecture: Architecture): boolean => {
  if (architecture === (process.arch === "arm64" ? "aarch64" : "x86_64")) return true
  const emulator = `/proc/sys/fs/binfmt_misc/qemu-${architecture}`
  return existsSync(emulator) && /^enabled$[^]*^flags: .*F/m.test(readFileSync(emulator, "utf8"))
}

/** x86_64, and what runs here; or those that KILN_DEBIAN_ARCHITECTURES names, where workers are of another kind. */
const architecturesOf = (named = ""): ReadonlyArray<Architecture> => {
  const wanted = named.split(/[\s,]+/)
  return Architecture.literals.filter((architecture) =>
    named === "" ? architecture === "x86_64" || runsHere(architecture) : wanted.includes(architecture)
  )
}

/** Ubuntu only where an archive is named and its keyring installed. */
export const distributionsOf = (env: Readonly<Record<string, string | undefined>>): ReadonlyArray<DistributionInfo> =>
  releases
    .filter(
      (release) =>
        !release.sources.some(({ archive }) => archive === "ubuntu") ||
        (env["KILN_UBUNTU_MIRROR"] !== undefined && existsSync(release.keyring))
    )
    .map((release) => infoOf(release, architecturesOf(env["KILN_DEBIAN_ARCHITECTURES"])))

export const debianDistributions: ReadonlyArray<DistributionInfo> = distributionsOf(process.env)
