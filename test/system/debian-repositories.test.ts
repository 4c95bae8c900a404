import { randomUUID } from "node:crypto"
import { readdirSync, statSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { Effect, Result } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { Repository } from "../../domain/customizations.ts"
import { type ImageSpec, manifestOf } from "../../domain/manifest.ts"
import { debianBuilder } from "../../infra/debian/builder.ts"
import { ownStates } from "../../infra/debian/own-states.ts"
import { packageIndexDebian } from "../../infra/debian/package-index.ts"
import { firstId, isRoot } from "../../infra/sandbox/ids.ts"
import { api, openGateway } from "../apps/gateway/harness.ts"
import { buildImpossible, configOf, hearing, inTemporary, openedDisk, sharedCache, specOf } from "../infra/debian/real.ts"
import { aptRepository, type AptRepository, signingKey, type SigningKey } from "../support/apt-repository.ts"
import { needs, skipWhere } from "../support/needs.ts"

needs("gpg", "gpgconf")
const impossible = await buildImpossible()
skipWhere(impossible !== undefined, impossible ?? "")

/** Resolves with one builder, as a worker does. `privately`: repositories of this machine are allowed. */
const resolving = (privately: boolean) => {
  const builder = debianBuilder({ ...configOf(sharedCache), privateRepositories: privately })
  return (spec: ImageSpec) => Effect.runPromise(Effect.result(builder.resolve(spec, "/nowhere", hearing())))
}
const resolved = resolving(true)

const marker = `hello ${randomUUID()}\n`

let key: SigningKey
let other: SigningKey
let repository: AptRepository
let own: Repository
beforeAll(async () => {
  key = signingKey()
  other = signingKey()
  repository = await aptRepository(
    [
      { name: "kiln-hello", version: "1:2.0~rc1-1", control: "Depends: tree\n" },
      { name: "kiln-hello", version: "1.5", files: { "usr/share/kiln-hello": marker } },
      { name: "kiln-hopeless", version: "1", control: "Depends: kiln-nowhere (>= 2)\n" },
      { name: "tree", version: "99" }
    ],
    key.sign
  )
  own = { id: "own", uri: repository.uri, suite: "./", key: key.key }
})
afterAll(() => {
  for (const each of [key, other, repository]) each?.close()
})

const versionsIn = (lock: Result.Result<{ readonly packages: ReadonlyArray<{ readonly name: string; readonly version: string; readonly url: string }> }, unknown>) =>
  Object.fromEntries(Result.getOrThrow(lock).packages.map(({ name, url, version }) => [name, [version, new URL(url).host]]))

describe("a version that is asked for", () => {
  it("is the one that is taken, and what is not there is said in apt's words, with what there is", async () => {
    const { packages } = Result.getOrThrow(await resolved(specOf({ packages: ["tree"] })))
    const { version } = packages.find(({ name }) => name === "tree")!
    expect(versionsIn(await resolved(specOf({ packages: [{ name: "tree", version }] })))["tree"]![0]).toBe(version)
    expect(await resolved(specOf({ packages: [{ name: "tree", version: "0.1" }] }))).toMatchObject({
      failure: {
        class: "user",
        message: `packages: Version '0.1' for 'tree' was not found (there is ${version})`
      }
    })
  })
})

describe("depsolve over HTTP", () => {
  it("answers what a compose would be built from, and names like one that there is not", async () => {
    const config = { ...configOf(sharedCache), privateRepositories: true }
    const gateway = await openGateway({ privateRepositories: true }, packageIndexDebian(config))
    const depsolve = (customizations: object) =>
      gateway.call(`${api}/depsolve`, {
        method: "POST", headers: { "content-type": "application/json" },
        body: JSON.stringify({ distribution: "debian-13", architecture: "x86_64", customizations })
      })
    const wish = { packages: ["kiln-hello"], repositories: [own] }
    const { download_bytes, packages } = await (await depsolve(wish)).json() as { download_bytes: number; packages: ReadonlyArray<object> }
    const lock = Result.getOrThrow(await resolved(specOf(wish)))
    expect(packages).toEqual(lock.packages.map(({ architecture, name, size, version }) => ({ name, version, architecture, size })))
    expect(download_bytes).toBe(lock.packages.reduce((sum, { size }) => sum + size, 0))

    const refused = await depsolve({ packages: ["nginx-lihgt"] })
    expect([refused.status, await refused.json()]).toMatchObject([422, {
      errors: [{ path: "customizations.packages", message: expect.stringMatching(/"nginx-lihgt" \(did you mean nginx-light/) }]
    }])
    await gateway.close()
  })
})

describe("a repository of the tenant's own", () => {
  it("gives packages, their newest version or the one asked for, and is named by the lock", async () => {
    const newest = await resolved(specOf({ repositories: [own], packages: ["kiln-hello"] }))
    const { host } = new URL(repository.uri)
    expect(versionsIn(newest)).toMatchObject({ "kiln-hello": ["1:2.0~rc1-1", host], tree: ["99", host] })
    expect(Result.getOrThrow(newest).sources.map(({ suite, uri }) => `${uri} ${suite}`).slice(3)).toEqual([`${repository.uri} ./`])
    const older = await resolved(specOf({ repositories: [own], packages: [{ name: "kiln-hello", version: "1.5" }] }))
    expect(versionsIn(older)["kiln-hello"]).toEqual(["1.5", host])
  })

  it("is read by apt as nobody of this machine, which changes nothing of everybody's lists", async ({ skip }) => {
    skip(!isRoot() || firstId() === 0, "only root can give its builds ids of their own")
    await resolved(specOf({ repositories: [own], packages: ["kiln-hello"] }))
    const ownersOf = (folder: string) => {
      const lists = join(folder, "current", "lists")
      return new Set(readdirSync(lists).filter((name) => /InRelease$|Packages$/.test(name)).map((name) => statSync(join(lists, name)).uid))
    }
    const foreign = join(sharedCache, "apt", ownStates)
    const [newest] = readdirSync(foreign).map((name) => join(foreign, name)).toSorted((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)
    const shared = readdirSync(join(sharedCache, "apt")).find((name) => name.startsWith("debian-13-amd64"))!
    expect([ownersOf(newest!), ownersOf(join(sharedCache, "apt", shared))]).toEqual([new Set([firstId()]), new Set([0])])
  })

  it("goes behind the distribution where its priority is lower", async () => {
    const lock = await resolved(specOf({ repositories: [{ ...own, priority: 100 }], packages: ["kiln-hello"] }))
    expect(versionsIn(lock)["tree"]![0]).not.toBe("99")
  })

  it("is unknown to those who did not name it", async () =>
    expect(await resolved(specOf({ packages: ["kiln-hello"] }))).toMatchObject({ failure: { class: "user" } }))

  it("says why a package of it cannot be installed", async () =>
    expect(await resolved(specOf({ repositories: [own], packages: ["kiln-hopeless"] }))).toMatchObject({
      failure: { class: "user", excerpt: expect.stringContaining("Depends: kiln-nowhere (>= 2)") }
    }))

  it("is asked for nothing a second time", async () => {
    const wish = specOf({ repositories: [own], packages: ["kiln-hello"] })
    await resolved(wish)
    const before = repository.asked.length
    await resolved(wish)
    expect(repository.asked.length).toBe(before)
  })

  it("counts only with the key that signed it, and for no other repository", async () => {
    expect(await resolved(specOf({ repositories: [{ ...own, key: other.key }] }))).toMatchObject({
      failure: { class: "user", message: expect.stringMatching(/^repositories\[0\]: .*(NO_PUBKEY|is not signed)/s) }
    })
    const second = await aptRepository([{ name: "kiln-more", version: "1" }], key.sign)
    expect(
      await resolved(specOf({ repositories: [own, { ...own, id: "more", uri: second.uri, key: other.key }], packages: ["kiln-more"] }))
    ).toMatchObject({ failure: { class: "user", message: expect.stringMatching(/^repositories\[1\]: /) } })
    second.close()
  })

  it("that is not there, or does not answer, is said to be", async () => {
    expect(await resolved(specOf({ repositories: [{ ...own, uri: `${repository.uri}/nothing` }] }))).toMatchObject({
      failure: { class: "user", message: expect.stringMatching(/^repositories\[0\]: /) }
    })
    const closed = await aptRepository([], key.sign)
    closed.close()
    expect(await resolved(specOf({ repositories: [{ ...own, uri: closed.uri }] }))).toMatchObject({
      failure: { class: "repository", message: expect.stringMatching(/^repositories\[0\]: /) }
    })
  })

  it("may not be on this machine, unless the operator allows it", async () => {
    const before = repository.asked.length
    for (const host of ["127.0.0.1", "localhost"]) {
      const uri = repository.uri.replace("127.0.0.1", host)
      expect(await resolving(false)(specOf({ repositories: [{ ...own, uri }] }))).toMatchObject({
        failure: { class: "user", message: expect.stringContaining("address of the machine itself") }
      })
    }
    expect(repository.asked.length).toBe(before)
  })

  it("is in the image only where that was asked for, with what was installed from it", async () => {
    const spec = specOf({
      repositories: [{ ...own, priority: 700, install_in_image: true }],
      packages: [{ name: "kiln-hello", version: "1.5" }]
    })
    const lock = Result.getOrThrow(await resolved(spec))
    const building = (dir: string, privateRepositories: boolean) =>
      Effect.runPromise(
        Effect.result(
          debianBuilder({ ...configOf(sharedCache), privateRepositories })
            .build(manifestOf("debian", spec, lock), new Map(), dir, hearing())
        )
      )
    await inTemporary(async (dir) => {
      // The archive is another each time, so nobody has it in the cache yet.
      const before = repository.asked.length
      expect(await building(dir, false)).toMatchObject({
        failure: { class: "repository", message: expect.stringMatching(/^cannot fetch kiln-hello 1\.5 .* is an address of the machine itself/) }
      })
      expect(repository.asked.length).toBe(before)

      const disk = await openedDisk(Result.getOrThrow(await building(dir, true)).path, dir)
      expect(await disk.text("/usr/share/kiln-hello")).toBe(marker)
      expect(await disk.text("/var/lib/dpkg/status")).toMatch(/Package: kiln-hello\nStatus: install ok installed\n(?:.+\n)*Version: 1\.5\n/)
      expect(await disk.text("/etc/apt/sources.list")).not.toContain("127.0.0.1:")
      expect(await disk.text("/etc/apt/sources.list.d/kiln-own.sources")).toBe(
        `Types: deb\nURIs: ${repository.uri}\nSuites: ./\nSigned-By: /etc/apt/keyrings/kiln-own.asc\n`
      )
      expect(await disk.text("/etc/apt/keyrings/kiln-own.asc")).toBe(`${key.key.trim()}\n`)
      expect(await disk.text("/etc/apt/preferences.d/kiln-own")).toBe('Package: *\nPin: origin "127.0.0.1"\nPin-Priority: 700\n')
    })
  })

  it("cannot send apt elsewhere", async () => {
    const server = createServer((request, response) =>
      response.writeHead(302, { location: `${repository.uri}${request.url}` }).end()
    )
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const before = repository.asked.length
    const uri = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    expect(await resolved(specOf({ repositories: [{ ...own, uri }] }))).toMatchObject({ failure: { message: expect.stringMatching(/^repositories\[0\]/) } })
    expect(repository.asked.length).toBe(before)
    server.close()
  })
})
