/**
 * The tree of the same packages by diskimage-builder, as a person would type it; without a disk, which it makes by device
 * mapper alone. Of Debian 12: the elements of its version there ask for packages that Debian 13 does not have.
 */
import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { mkdir, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import type { Lock } from "../../domain/manifest.ts"

const asked = [
  "dbus", "e2fsprogs", "fdisk", "iproute2", "netbase", "openssh-server", "sudo", "systemd-resolved", "systemd-sysv", "systemd-timesyncd", "udev", "zstd"
]

/** Seconds; the sources are those of the lock. */
export const dibSeconds = async ({ packages, sources }: Lock): Promise<number> => {
  const work = await mkdtemp(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "kiln-dib-"))
  try {
    await mkdir(join(work, "home"))
    const known = new Set(packages.map(({ name }) => name))
    const start = performance.now()
    await promisify(execFile)("unshare", [
      "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "disk-image-create", "-o", join(work, "image"), "-t", "tar",
      "-p", asked.filter((name) => known.has(name)).join(","), "debian-minimal"
    ], {
      cwd: work, maxBuffer: 2 ** 28,
      env: {
        PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", HOME: join(work, "home"), TMP_DIR: work, TMPDIR: work, LC_ALL: "C.UTF-8",
        DIB_RELEASE: sources[0]!.suite, DIB_DISTRIBUTION_MIRROR: sources[0]!.uri,
        DIB_APT_SOURCES_CONF: sources.map(({ suite, uri }, at) => `source${at}:deb ${uri} ${suite} main`).join("\n")
      }
    })
    return (performance.now() - start) / 1000
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}
