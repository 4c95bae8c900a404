/** The disk of a tree and its archives, in whatever place and order and by whomever that was made. */
import { execFileSync } from "node:child_process"
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { fstabOf, partitionsOf, planText } from "../../../infra/debian/layout.ts"
import { scriptPath } from "../../../infra/debian/scripts.ts"
import { sha256Of } from "../../../infra/files/sha256-of.ts"
import { convertScript } from "../../../infra/formats/convert.ts"
import { isRoot } from "../../../infra/sandbox/ids.ts"
import { needs } from "../../support/needs.ts"
import { rawDisk } from "./real.ts"

const MiB = 2 ** 20
const id = (part: string) => `00000000-0000-4000-8000-${Buffer.from(part.padEnd(6)).toString("hex").slice(0, 12)}`
const ids = { disk: id("disk"), esp: id("esp"), root: id("root"), hashSeed: id("seed"), fat: "1A2B3C4D", of: id }
const partitions = partitionsOf("x86_64", { mountpoints: [{ mountpoint: "/srv", size_bytes: 32 * MiB }] }, ids)

/** make-tree.sh WORK forwards|backwards: a tree with all that is hard to name or to keep, and its archives and its disk beside it. */
const makeTree = `set -euo pipefail
umask 022
mkdir "$1/tree"
cd "$1/tree"
printf '%s\\n' boot etc etc/many 'a b' 'q"uote' -x srv | { if [ "$2" = forwards ]; then cat; else tac; fi; } | while IFS= read -r name; do mkdir -p -- "$name"; done
{
  printf '%s\\n' boot/vmlinuz-1 boot/initrd.img-1 etc/hostname 'a b/<12>' 'q"uote/back\\slash' 'q"uote/""' -x/-y '#hash' '!bang' '  spaces  ' ä srv/kept
  printf 'etc/many/%s\\n' $(seq 1 300)
} | { if [ "$2" = forwards ]; then cat; else tac; fi; } | while IFS= read -r name; do printf 'in %s\\n' "$name" >"./$name"; done
chmod 4755 etc/hostname
chmod 2770 srv
ln etc/hostname etc/same
ln -s 'a b/<12>' etc/link
mkfifo etc/pipe
truncate -s 5M etc/sparse
printf end >>etc/sparse
perl -e 'my ($path, $name, $value) = ("etc/hostname", "security.capability", pack("V5", 0x02000001, 1 << 13, 0, 0, 0)); syscall($ARGV[0], $path, $name, $value, length $value, 0) == 0 or die "setxattr: $!\\n"' "$KILN_SETXATTR"
cd "$1"
for format in tar.gz oci netboot; do bash "$KILN_ARCHIVE_SCRIPT" "$1/tree" $format "$1/archive.$format"; done
bash "$KILN_DISK_SCRIPT" "$1/tree" "$1/disk.raw"
`

const dir = mkdtempSync(join(tmpdir(), "kiln-disk-"))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const asUser = [...(isRoot() ? ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"] : []), "unshare", "--user", "--map-root-user", "--mount"]
const asRoot = isRoot() ? ["unshare", "--mount"] : asUser

/** Where the tree lies on the machine's own disk, or in memory that only the program sees. */
const made = (name: string, by: ReadonlyArray<string>, order: "forwards" | "backwards", inMemory: boolean) => {
  const work = join(dir, name)
  mkdirSync(work)
  chmodSync(work, 0o777)
  const steps = `${inMemory ? "mount -t tmpfs kiln \"$1\"; " : ""}bash "$0" "$1" "$2" >/dev/null; cat "$1/disk.raw" >&3; cd "$1"; sha256sum archive.*`
  const out = join(dir, `${name}.raw`)
  const archives = execFileSync("bash", ["-c", 'out=$1; shift; exec 3>"$out" "$@"', "bash", out, ...by, "bash", "-euc", steps, join(dir, "make-tree.sh"), work, order], {
    env: {
      PATH: "/usr/sbin:/usr/bin:/sbin:/bin", SOURCE_DATE_EPOCH: "1700000000", LC_ALL: "C", TZ: "UTC", KILN_INPUT: dir, KILN_SIZE: String(256 * MiB), KILN_WHOLE: String(MiB),
      KILN_KERNEL: "quiet", KILN_ARCHITECTURE: "amd64", KILN_DISK_ID: ids.disk, KILN_ESP_ID: ids.esp, KILN_FAT_ID: ids.fat,
      KILN_DISK_SCRIPT: scriptPath("disk.sh"), KILN_ARCHIVE_SCRIPT: scriptPath("archive.sh"), KILN_FORMATS: dirname(convertScript), KILN_SETXATTR: process.arch === "x64" ? "188" : "5"
    },
    stdio: "pipe", encoding: "utf8"
  })
  return { disk: out, archives }
}

describe("a tree", () => {
  needs("mke2fs", "debugfs", "sfdisk", "mkfs.vfat", "mcopy", "syslinux", "mksquashfs", "pigz", "unshare", "setpriv")
  let places: ReadonlyArray<ReturnType<typeof made>> = []

  beforeAll(() => {
    chmodSync(dir, 0o755)
    writeFileSync(join(dir, "make-tree.sh"), makeTree)
    writeFileSync(join(dir, "partitions"), planText(partitions))
    writeFileSync(join(dir, "fstab"), fstabOf(partitions, ids))
    places = [
      made("disk", asRoot, "forwards", false), made("disk-backwards", asRoot, "backwards", false),
      made("memory", asRoot, "backwards", true), made("user", asUser, "forwards", true), made("user-disk", asUser, "backwards", false)
    ]
  })

  it("has a disk of the same bytes wherever it lies, in whatever order it was made, and by a user as by root", async () =>
    expect(new Set(await Promise.all(places.map(({ disk }) => sha256Of(disk)))).size).toBe(1))

  it("has archives of the same bytes there: tar.gz, OCI, and what is booted over the network", () => {
    expect(places[0]!.archives.match(/archive\..*$/gm)).toEqual(["archive.netboot", "archive.oci", "archive.tar.gz"])
    expect(new Set(places.map(({ archives }) => archives)).size).toBe(1)
  })

  it("has everything of it on the disk, by its own name", async () => {
    const [{ disk }] = places as [typeof places[number]]
    const { partitions: parts } = await rawDisk(disk).table()
    const at = (name: string) => rawDisk(disk, parts.find((part) => part.name === name)!.start * 512)
    const [root, srv] = [at("root"), at("srv")]
    for (const part of [root, srv]) expect(await part.check()).toMatch(/files/)
    expect(await root.names("/")).toEqual([".", "..", "lost+found", "  spaces  ", "!bang", "#hash", "-x", "a b", "boot", "etc", 'q"uote', "srv", "ä"])
    expect(await root.names('/q""uote')).toEqual([".", "..", '""', "back\\slash"])
    expect(await root.text("/a b/<12>")).toBe("in a b/<12>\n")
    expect(await root.stat("/etc/hostname")).toMatch(/Mode: 04755 .*Links: 2 .*mtime: 0x6553f100:00000000 .*security.capability/)
    expect(await root.text("/etc/same")).toBe("in etc/hostname\n")
    expect(await root.stat("/etc/link")).toContain('Fast link dest: "a b/<12>"')
    expect(await root.stat("/etc/pipe")).toContain("Type: FIFO")
    expect(await root.stat("/etc/sparse")).toMatch(/Size: 5242883 .*Blockcount: 2 /)
    expect(await srv.text("/kept")).toBe("in srv/kept\n")
    expect(await srv.stat("/")).toContain("Mode: 02770")
    expect(await root.names("/srv")).toEqual([".", ".."])
  })
})
