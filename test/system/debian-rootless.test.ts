/** One lock, built by root and by an ordinary user with subordinate ids: the same bytes. */
import { execFile, spawnSync } from "node:child_process"
import { chown, cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Result } from "effect"
import { afterAll, describe, expect, it } from "vitest"
import type { Lock } from "../../domain/manifest.ts"
import { sha256Of } from "../../infra/files/sha256-of.ts"
import { skipWhere } from "../support/needs.ts"
import { buildImpossible, built, coldCache, resolved, typedSpec } from "../infra/debian/real.ts"

const program = join(import.meta.dirname, "../infra/debian/build-once.ts")
const id = 61_234

/** Everything of a user that a build asks for: a name, a folder, and ids below him. He is one in here only. */
const home = await mkdtemp(join(tmpdir(), "kiln-rootless-"))
await mkdir(join(home, "etc"))
for (const name of ["passwd", "group", "subuid", "subgid"])
  await cp(join("/etc", name), join(home, "etc", name)).catch(() => writeFile(join(home, "etc", name), ""))
for (const [name, line] of Object.entries({
  passwd: `kiln-rootless:x:${id}:${id}::${home}:/bin/sh`, group: `kiln-rootless:x:${id}:`,
  subuid: "kiln-rootless:100000:65536", subgid: "kiln-rootless:100000:65536"
})) await writeFile(join(home, "etc", name), `${line}\n`, { flag: "a" })
await chown(home, id, id).catch(() => {})

const becoming = `
for name in passwd group subuid subgid; do mount --bind "$0/etc/$name" "/etc/$name"; done
export HOME=$0 USER=kiln-rootless
exec setpriv --reuid=${id} --regid=${id} --clear-groups -- "$@"`
const asUser = (...argv: ReadonlyArray<string>) => ["--mount", "bash", "-euc", becoming, home, ...argv]

const isPossible = process.geteuid?.() === 0 &&
  spawnSync("unshare", asUser("unshare", "--user", "--map-root-user", "--map-auto", process.execPath, "--version")).status === 0
const reason = process.env["KILN_TEST_ROOTLESS"] !== "1" ? "asked for by KILN_TEST_ROOTLESS=1: each type takes minutes"
  : isPossible ? await buildImpossible() : "this is not root, who alone can be both, or no user can have subordinate ids here"

const builtByUser = async (lock: Lock, type: string, scratch: "auto" | "disk"): Promise<string> => {
  const dir = await mkdtemp(join(home, "build-"))
  const cache = await coldCache(dir)
  await mkdir(join(dir, "job"))
  for (const path of [dir, cache, join(dir, "job")]) await chown(path, id, id)
  const said = await new Promise<string>((resolve, reject) => {
    const child = execFile("unshare", asUser(process.execPath, program, cache, join(dir, "job"), scratch, type), { encoding: "utf8", maxBuffer: 1 << 26 },
      (error, stdout, stderr) => error ? reject(new Error(`${error.message}\n${stdout}\n${stderr}`)) : resolve(stdout))
    child.stdin!.end(JSON.stringify(lock))
  })
  const [, path] = /^built (.*)$/m.exec(said) ?? []
  expect(path, said).toBeDefined()
  return sha256Of(path!)
}

const types = [["wsl", "a tar.gz"], ["guest-image", "a qcow2"], ["minimal-raw", "a raw disk"], ["network-boot", "a squashfs"]]

describe("an ordinary user", () => {
  skipWhere(reason !== undefined, reason ?? "")
  afterAll(() => rm(home, { recursive: true, force: true }))

  it.each(types)("builds, from the base tree on, the bytes that root builds: %s, %s", async (type) => {
    const spec = typedSpec(type!, {})
    const lock = Result.getOrThrow(await resolved(spec))
    const dir = await mkdtemp(join(home, "root-"))
    const image = Result.getOrThrow(await built(spec, dir, { cacheDir: await coldCache(dir) }))
    const [byRoot, byUser] = [await sha256Of(image.path), await builtByUser(lock, type!, "auto")]
    console.log(`${type}: root ${byRoot}, user ${byUser}`)
    expect(byUser).toBe(byRoot)
  })
})
