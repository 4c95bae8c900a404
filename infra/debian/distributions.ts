/** The distributions this builder knows: where they come from and what every image of them holds. */
import { existsSync } from "node:fs"
import type { Architecture } from "../../domain/ids.ts"
import type { DistributionInfo } from "../../domain/ports/image-builder.ts"

export type Archive = "debian" | "security" | "ubuntu"

export interface Release {
  readonly id: string
  readonly name: string
  readonly suite: string
  readonly components: string
  readonly sources: ReadonlyArray<{ readonly archive: Archive; readonly suite: string }>
  readonly keyring: string
  /** Beside what is essential, and apt. */
  readonly base: ReadonlyArray<string>
}

export const builderName = "debian"
export const imageType = "guest-image"

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
    base: ["linux-image-virtual", "initramfs-tools", ...common]
  }
]

/** Debian's names of the architectures a guest image boots on; aarch64 has neither syslinux nor a tested path. */
export const debianArchitectures: Partial<Record<Architecture, string>> = { x86_64: "amd64" }

const infoOf = (release: Release): DistributionInfo => ({
  id: release.id,
  name: release.name,
  builder: builderName,
  resolves: true,
  architectures: (Object.keys(debianArchitectures) as Array<Architecture>).map((architecture) => ({
    architecture,
    imageTypes: [
      {
        type: imageType,
        description:
          "qcow2 disk for virtual machines; boots in BIOS and UEFI, grows to its disk, serial console and DHCP",
        options: ["size_bytes"]
      }
    ]
  }))
})

/** Ubuntu only where an archive is named and its keyring installed. */
export const distributionsOf = (env: Readonly<Record<string, string | undefined>>): ReadonlyArray<DistributionInfo> =>
  releases
    .filter(
      (release) =>
        !release.sources.some(({ archive }) => archive === "ubuntu") ||
        (env["KILN_UBUNTU_MIRROR"] !== undefined && existsSync(release.keyring))
    )
    .map(infoOf)

export const debianDistributions: ReadonlyArray<DistributionInfo> = distributionsOf(process.env)

/** What a request needs beyond the base: its packages, and those its other customizations cannot do without. */
export const extrasOf = (customizations: {
  readonly packages?: ReadonlyArray<string>
  readonly locale?: string
  readonly timezone?: string
}): ReadonlyArray<string> =>
  [
    ...new Set([
      ...(customizations.packages ?? []),
      ...(customizations.locale === undefined || builtInLocales.has(customizations.locale) ? [] : ["locales"]),
      ...(customizations.timezone === undefined ? [] : ["tzdata"])
    ])
  ].sort()

const builtInLocales = new Set(["C", "POSIX", "C.UTF-8"])
