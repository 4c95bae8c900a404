/** A package whose script tries everything that must not work, and notes in the image what did. */
import { execFileSync } from "node:child_process"
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { createHash } from "node:crypto"
import type { LockedPackage } from "../../../domain/manifest.ts"

export const packageName = "kiln-hostile"
export const reportPath = "/var/lib/kiln-hostile.report"

/** What there is outside to get at. */
export interface Prey {
  /** A file of the worker with `secret` in it. */
  readonly token: string
  /** Also in the environment of the worker. */
  readonly secret: string
  readonly otherWorkspace: string
  readonly cache: string
  readonly port: number
  readonly pid: number
}

/** As dpkg runs it; a line for each try, which ends in "got" if it worked. */
const script = ({ cache, otherWorkspace, pid, port, secret, token }: Prey, [major, minor]: readonly [number, number]) => `#!/bin/bash
report=${reportPath}
try() { name=$1; shift; if "$@" >/dev/null 2>&1; then echo "$name: got"; else echo "$name: no"; fi >>$report; }
reads() { head -c 1 "$1" | grep -q .; }
: >$report
try "token file" reads ${token}
try "environments" grep -q ${secret} /proc/[0-9]*/environ
try "own environment" sh -c 'env | grep -q -e ${secret} -e TOKEN'
try "other workspace" ls ${otherWorkspace}
try "cache" ls ${cache}
try "other roots" sh -c 'ls -d /proc/[0-9]*/root${token} /proc/[0-9]*/root${cache} /proc/[0-9]*/cwd/../..${token} | grep -q .'
try "programs of the worker" sh -c 'ls /proc/[0-9]*/root/usr/bin/mmdebstrap | grep -q .'
try "loopback" bash -c 'exec 3<>/dev/tcp/127.0.0.1/${port}'
try "the network" sh -c 'grep -v "^ *lo:" /proc/net/dev | grep -q :.*[0-9]'
try "killing" kill -9 ${pid}
try "the disk's node" sh -c 'mknod /var/lib/kiln-disk b ${major} ${minor} && head -c 1 /var/lib/kiln-disk'
try "mounting" mount -t tmpfs none /mnt
try "mounting a proc" mount -t proc proc /mnt
try "another user namespace" unshare --user --map-root-user true
try "settings of the kernel" test -w /proc/sys/kernel/core_pattern
try "keys of the kernel" test -w /proc/sysrq-trigger
try "the repository" sh -c 'for file in /run/kiln/repository/pool/*.deb; do echo x >>$file && exit; done; exit 1'
try "the scripts" sh -c 'echo true >>/run/kiln/scripts/guest-finish.sh'
try "a way out of the root" perl -e '
  opendir my $root, "/"; mkdir "/var/lib/kiln-deeper"; chroot "/var/lib/kiln-deeper" or exit 1; chdir $root or exit 1;
  chdir ".." for 1 .. 64; chroot "." or exit 1;
  exit(-e "${token}" || -e "${cache}" || -e "/usr/bin/mmdebstrap" ? 0 : 1)'
for fd in /proc/$$/fd/*; do echo "fd $(readlink $fd)"; done >>$report
echo "host $(hostname)" >>$report
setsid sleep 7777 </dev/null >/dev/null 2>&1 &
exit 0
`

/** Made in `dir`; its entry of a lock. */
export const hostilePackage = (dir: string, prey: Prey): LockedPackage => {
  const tree = join(dir, "tree")
  mkdirSync(join(tree, "DEBIAN"), { recursive: true })
  writeFileSync(join(tree, "DEBIAN/control"), `Package: ${packageName}\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: tries\n`)
  const { dev } = statSync(dir)
  writeFileSync(join(tree, "DEBIAN/postinst"), script(prey, [(dev >> 8) & 0xfff, dev & 0xff]), { mode: 0o755 })
  const path = join(dir, `${packageName}.deb`)
  execFileSync("dpkg-deb", ["--root-owner-group", "-b", tree, path], { stdio: "ignore" })
  return {
    name: packageName,
    version: "1",
    architecture: "all",
    size: statSync(path).size,
    sha256: createHash("sha256").update(readFileSync(path)).digest("hex"),
    url: pathToFileURL(path).href
  }
}
