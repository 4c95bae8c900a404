/**
 * Ubuntu 24.04 as far as it goes without Ubuntu: an archive with its suites, components and a keyring in its place, whose
 * packages are Debian's, or only names. What is not shown: that Ubuntu's own packages install, and that such an image boots.
 */
import { execFile, execFileSync } from "node:child_process"
import { cp, mkdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Effect, Result } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { ImageSpec, Lock } from "../../domain/manifest.ts"
import type { BuildFailed, BuiltFile } from "../../domain/ports/image-builder.ts"
import { cacheAt } from "../../infra/cache/cache.ts"
import { releases } from "../../infra/debian/distributions.ts"
import { fetchPackages, poolOf } from "../../infra/debian/packages.ts"
import { mappedPrefix } from "../../infra/sandbox/ids.ts"
import { type AptRepository, aptArchive, type Deb, type SigningKey, signingKey } from "../support/apt-repository.ts"
import { skipWhere } from "../support/needs.ts"
import { buildImpossible, hearing, inTemporary, resolved, sharedCache, typedSpec } from "../infra/debian/real.ts"

const impossible = await buildImpossible()
const ubuntu = releases.find(({ id }) => id === "ubuntu-24.04")!
const madeAt = new Date("2026-01-31T12:00:00Z")
const keyrings = "/usr/share/keyrings"
const imageMirror = "http://archive.ubuntu.example/ubuntu"

let key: SigningKey
let archive: AptRepository

const hello = (version: string): Deb => ({ name: "kiln-hello", version, files: { "usr/share/kiln-hello": `hello ${version}\n` } })

const makeArchive = async () => {
  const debian = Result.getOrThrow(await resolved(typedSpec("container", {})))
  const there = new Set(debian.packages.map(({ name }) => name))
  const only = (name: string): Deb => ({ name, version: "9:24.04" })
  const named = ubuntu.base.filter((name) => !there.has(name)).map(only)
  await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
    const shelf = yield* cacheAt(sharedCache).shelf
    yield* fetchPackages(debian.packages, shelf, hearing(), 1)
    const files = debian.packages.map(({ sha256 }) => join(poolOf(shelf), `${sha256}.deb`))
    archive = yield* Effect.promise(() => aptArchive({
      noble: { main: [...files, ...named], universe: [hello("1")] },
      "noble-updates": { main: [{ name: "sudo", version: "9:24.04.1" }], universe: [hello("2")] },
      "noble-security": { main: [{ name: "openssh-server", version: "9:24.04.2" }], universe: [] }
    }, key.sign, madeAt))
  })))
}

interface Said {
  readonly offered: ReadonlyArray<string>
  readonly locks: ReadonlyArray<{ readonly success?: Lock; readonly failure?: BuildFailed }>
  readonly built?: { readonly success?: BuiltFile; readonly failure?: BuildFailed }
  readonly lines: ReadonlyArray<string>
}

/** In a worker for whom this machine's keyrings are others. */
const worker = async (dir: string, keyring: string, specs: ReadonlyArray<ImageSpec>): Promise<Said> => {
  await cp(keyrings, join(dir, "keyrings"), { recursive: true, dereference: true })
  await writeFile(join(dir, "key.asc"), keyring)
  execFileSync("gpg", ["--dearmor", "--output", join(dir, "keyrings/ubuntu-archive-keyring.gpg"), join(dir, "key.asc")])
  await mkdir(join(dir, "job"))
  const inside = 'mount --bind "$1/keyrings" "$2" && exec "$3" "$4" "$1/cache" "$1/job"'
  const [program, ...args] = [
    ...mappedPrefix(), "unshare", "--mount", "bash", "-euc", inside, "worker", dir, keyrings, process.execPath,
    join(import.meta.dirname, "../infra/debian/ubuntu-once.ts")
  ]
  const env = { ...process.env, KILN_UBUNTU_MIRROR: `${archive.uri}/`, KILN_IMAGE_UBUNTU_MIRROR: imageMirror }
  return new Promise((resolve, reject) => {
    const child = execFile(program!, args, { env, encoding: "utf8", maxBuffer: 1 << 26 }, (error, stdout, stderr) =>
      error ? reject(new Error(`${error.message}\n${stderr}`)) : resolve(JSON.parse(stdout) as Said))
    child.stdin!.end(JSON.stringify(specs))
  })
}

const spec = (type: string, customizations: ImageSpec["customizations"] = {}) => typedSpec(type, customizations, undefined, "ubuntu-24.04")
const versionOf = (lock: Lock | undefined, name: string) => lock?.packages.find((each) => each.name === name)?.version

describe("Ubuntu 24.04 of an archive of one's own", () => {
  skipWhere(impossible !== undefined, impossible ?? "")

  beforeAll(async () => {
    key = signingKey()
    await makeArchive()
  })
  afterAll(() => {
    archive?.close()
    key?.close()
  })

  it("is offered, resolved over its suites and components, and built into a container", () =>
    inTemporary(async (dir) => {
      const { built, lines, locks: [guest, unknown, container], offered } = await worker(dir, key.key, [
        spec("guest-image"), spec("guest-image", { packages: ["kiln-helo"] }), spec("container", { packages: ["kiln-hello"] })
      ])
      expect(offered).toContain("ubuntu-24.04")

      expect(guest?.success).toMatchObject({ distribution: "ubuntu-24.04", architecture: "x86_64" })
      expect(guest?.success?.sources).toEqual(["noble", "noble-updates", "noble-security"].map((suite) => ({
        uri: archive.uri, suite, revision: expect.stringMatching(/^[0-9a-f]{64}$/), date: madeAt.toISOString()
      })))
      expect(guest?.success?.packages.map(({ name }) => name)).toEqual(expect.arrayContaining([...ubuntu.base, "apt", "base-files"]))
      expect(["linux-image-virtual", "sudo", "openssh-server"].map((name) => versionOf(guest?.success, name))).toEqual(["9:24.04", "9:24.04.1", "9:24.04.2"])
      expect(guest?.success?.packages.every(({ url }) => url.startsWith(`${archive.uri}/`))).toBe(true)

      expect(unknown?.failure).toMatchObject({ class: "user", message: 'packages: unable to locate "kiln-helo" (did you mean kiln-hello?)' })
      expect(versionOf(container?.success, "kiln-hello")).toBe("2")

      expect(built, lines.join("\n")).toMatchObject({ success: { filename: "ubuntu-24.04.oci.tar", format: "oci" } })
      const tree = await treeOf(built!.success!.path, dir)
      expect(tree("usr/share/kiln-hello")).toBe("hello 2\n")
      expect(tree("etc/apt/sources.list")).toBe(["noble", "noble-updates", "noble-security"].map((suite) =>
        `deb [signed-by=${ubuntu.keyring}] ${imageMirror} ${suite} main universe\n`).join(""))
    }))

  it("is not resolved where another has signed it", () =>
    inTemporary(async (dir) => {
      const other = signingKey()
      const { locks } = await worker(dir, other.key, [spec("container")]).finally(() => other.close())
      expect(locks[0]?.failure).toMatchObject({ class: "repository", message: "no package index of Ubuntu 24.04: its mirror cannot be used" })
    }))
})

/** Files of the one layer of an OCI archive. */
const treeOf = async (image: string, dir: string) => {
  const oci = join(dir, "oci")
  await mkdir(oci)
  execFileSync("tar", ["-xf", image, "-C", oci])
  const blob = async (digest: string) => join(oci, "blobs", digest.replace(":", "/"))
  const read = async (path: string) => JSON.parse(await readFile(path, "utf8"))
  const index = await read(join(oci, "index.json"))
  const manifest = await read(await blob(index.manifests[0].digest))
  const layer = await blob(manifest.layers[0].digest)
  return (path: string) => execFileSync("tar", ["-xOf", layer, "--wildcards", "--no-anchored", path], { encoding: "utf8" })
}
