/** An apt repository on a port of 127.0.0.1, signed with a key of its own: packages that only name themselves. */
import { createHash } from "node:crypto"
import { execFileSync } from "node:child_process"
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { basename, dirname, join } from "node:path"

export interface Deb {
  readonly name: string
  readonly version: string
  /** Further lines of its control file. */
  readonly control?: string
  /** Text by path below the root. */
  readonly files?: Readonly<Record<string, string>>
}

export interface SigningKey {
  /** Armored. */
  readonly key: string
  sign(text: string): string
  close(): void
}

export const signingKey = (): SigningKey => {
  const home = mkdtempSync(join(tmpdir(), "kiln-gpg-"))
  const gpg = (input: string, ...args: ReadonlyArray<string>) =>
    execFileSync("gpg", ["--homedir", home, "--batch", "--quiet", "--passphrase", "", ...args], { input, encoding: "utf8", stdio: ["pipe", "pipe", "ignore"] })
  gpg("", "--quick-gen-key", "repository@example.org", "ed25519", "sign", "never")
  return {
    key: gpg("", "--armor", "--export"),
    sign: (text) => gpg(text, "--clearsign"),
    close: () => {
      // Its agent would stay, and wait for more to sign.
      execFileSync("gpgconf", ["--homedir", home, "--kill", "all"])
      rmSync(home, { recursive: true, force: true })
    }
  }
}

const sha256 = (bytes: string | Buffer) => createHash("sha256").update(bytes).digest("hex")

/** What an index says of an archive that lies in `folder`. */
const stanzaOf = (folder: string, file: string): string => {
  const stanza = execFileSync("dpkg-deb", ["-f", file], { encoding: "utf8" })
  return `${stanza}Filename: ${file.slice(folder.length + 1)}\nSize: ${statSync(file).size}\nSHA256: ${sha256(readFileSync(file))}\n`
}

const made = (folder: string, { control = "", files = {}, name, version }: Deb): string => {
  const tree = join(folder, "tree")
  rmSync(tree, { recursive: true, force: true })
  mkdirSync(join(tree, "DEBIAN"), { recursive: true })
  writeFileSync(
    join(tree, "DEBIAN/control"),
    `Package: ${name}\nVersion: ${version}\nArchitecture: all\nMaintainer: A Test <test@example.org>\nDescription: ${name} of a test\n${control}`
  )
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(tree, path, ".."), { recursive: true })
    writeFileSync(join(tree, path), text)
  }
  const file = join(folder, `${name}_${version.replace(":", "%3a")}_all.deb`)
  execFileSync("dpkg-deb", ["--root-owner-group", "--build", tree, file], {
    stdio: "ignore", env: { ...process.env, SOURCE_DATE_EPOCH: "1700000000" }
  })
  return stanzaOf(folder, file)
}

export interface AptRepository {
  readonly uri: string
  /** What was asked of it, path by path. */
  readonly asked: ReadonlyArray<string>
  close(): void
}

const newFolder = () => mkdtempSync(join(tmpdir(), "kiln-repository-"))

/** Flat: its suite is `./`. `signed` may be another's hand, or none. */
export const aptRepository = async (debs: ReadonlyArray<Deb>, sign: (text: string) => string): Promise<AptRepository> => {
  const folder = newFolder()
  const packages = debs.map((deb) => made(folder, deb)).join("\n")
  const release = `Origin: Test\nSuite: test\nDate: ${new Date().toUTCString()}\nSHA256:\n ${sha256(packages)} ${packages.length} Packages\n`
  writeFileSync(join(folder, "Packages"), packages)
  writeFileSync(join(folder, "InRelease"), sign(release))
  return served(folder)
}

/** Packages by suite and component; those that there are already by their files. */
export type Suites = Readonly<Record<string, Readonly<Record<string, ReadonlyArray<Deb | string>>>>>

/** As a distribution's archive is, of amd64: suites with components over one pool. */
export const aptArchive = async (suites: Suites, sign: (text: string) => string, madeAt: Date): Promise<AptRepository> => {
  const folder = newFolder()
  const placed = (deb: Deb | string) => {
    if (typeof deb !== "string") return made(folder, deb)
    copyFileSync(deb, join(folder, basename(deb)))
    return stanzaOf(folder, join(folder, basename(deb)))
  }
  for (const [suite, components] of Object.entries(suites)) {
    const dir = join(folder, "dists", suite)
    const indexes = Object.entries(components).map(([component, debs]) => {
      const text = debs.map(placed).join("\n")
      const path = `${component}/binary-amd64/Packages`
      mkdirSync(dirname(join(dir, path)), { recursive: true })
      writeFileSync(join(dir, path), text)
      return ` ${sha256(text)} ${Buffer.byteLength(text)} ${path}\n`
    })
    writeFileSync(join(dir, "InRelease"), sign([
      "Origin: Test", `Suite: ${suite}`, `Codename: ${suite}`, `Date: ${madeAt.toUTCString()}`, "Architectures: amd64",
      `Components: ${Object.keys(components).join(" ")}`, "SHA256:", indexes.join("")
    ].join("\n")))
  }
  return served(folder)
}

const served = async (folder: string): Promise<AptRepository> => {
  const asked: Array<string> = []
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? "/").replace(/^\/(\.\/)?/, "")
    asked.push(path)
    try {
      response.end(readFileSync(join(folder, path.replace(/:/g, "%3a"))))
    } catch {
      response.writeHead(404).end()
    }
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    uri: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: () => {
      server.closeAllConnections()
      server.close()
      rmSync(folder, { recursive: true, force: true })
    }
  }
}
