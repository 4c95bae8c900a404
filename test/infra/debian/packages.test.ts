/** Archives by their SHA-256: from a folder over HTTP into a cache, whole and right or not at all. */
import { createHash } from "node:crypto"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { LockedPackage } from "../../../domain/manifest.ts"
import { cacheAt, type Shelf } from "../../../infra/cache/cache.ts"
import { closedRepository } from "../../../infra/debian/closed-repository.ts"
import { releases } from "../../../infra/debian/distributions.ts"
import { checkedPackages, fetchPackages, poolOf } from "../../../infra/debian/packages.ts"
import { probe } from "../../../infra/debian/tools.ts"
import { limitsOf } from "../../../infra/sandbox/limits.ts"
import { aptRepository } from "../../support/apt-repository.ts"
import { skipWhere } from "../../support/needs.ts"
import { hearing } from "./real.ts"

type Answer = (response: ServerResponse) => void

const archive = Buffer.from("an archive of a package\n".repeat(1000))
const flipped = Buffer.from(archive)
flipped[5000]! ^= 1

const answering = (bytes: Buffer): Answer => (response) => void response.end(bytes)

/** A folder on a port: paths and what is answered there; all else is not found. */
const mirror = async (answers: Record<string, Answer>) => {
  const asked: Array<string> = []
  const server = createServer(({ url = "" }, response) => {
    asked.push(url)
    const answer = answers[url] ?? ((none: ServerResponse) => void none.writeHead(404).end("none"))
    answer(response)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    asked,
    uri: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.closeAllConnections()
      server.close()
    }
  }
}

let dir = ""
let opened: Array<{ close(): void }> = []
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "kiln-packages-"))
})
afterEach(() => {
  for (const each of opened) each.close()
  opened = []
  rmSync(dir, { recursive: true, force: true })
})

const serving = (answers: Record<string, Answer>) =>
  Effect.map(Effect.promise(() => mirror(answers)), (server) => {
    opened.push(server)
    return server
  })

const path = "/pool/main/h/hello/hello_1_all.deb"
const packageOf = (uri: string): LockedPackage => ({
  name: "hello", version: "1", architecture: "all", size: archive.length, url: `${uri}${path}`,
  sha256: createHash("sha256").update(archive).digest("hex")
})

const onShelf = <A, E>(use: (shelf: Shelf) => Effect.Effect<A, E>) => Effect.scoped(Effect.flatMap(Effect.orDie(cacheAt(dir).shelf), use))
const kept = () => (existsSync(join(dir, "packages")) ? readdirSync(join(dir, "packages")) : [])
const inCache = ({ sha256 }: LockedPackage) => join(dir, "packages", sha256)

describe("archives of packages", () => {
  it.effect("come once, and then from the cache", () =>
    Effect.gen(function*() {
      const server = yield* serving({ [path]: answering(archive) })
      const item = packageOf(server.uri)
      yield* onShelf((shelf) => fetchPackages([item], shelf, hearing(), 1))
      yield* onShelf((shelf) => checkedPackages([item], shelf, hearing(), 1))
      assert.deepStrictEqual(kept(), [item.sha256])
      assert.deepStrictEqual(server.asked, [path])
    }))

  it.effect("that rotted in the cache, with their size as it was, are thrown out and fetched again", () =>
    Effect.gen(function*() {
      const server = yield* serving({ [path]: answering(archive) })
      const item = packageOf(server.uri)
      yield* onShelf((shelf) => fetchPackages([item], shelf, hearing(), 1))
      writeFileSync(inCache(item), flipped)
      const report = hearing()
      const used = yield* onShelf((shelf) =>
        Effect.map(checkedPackages([item], shelf, report, 1), () => readFileSync(join(poolOf(shelf), `${item.sha256}.deb`))))
      assert.isTrue(used.equals(archive))
      assert.isTrue(readFileSync(inCache(item)).equals(archive))
      assert.include(report.lines, "warning: hello 1 was damaged in the cache and is fetched again")
      assert.deepStrictEqual(server.asked, [path, path])
    }))

  it.effect("that rotted and are nowhere any more fail for the repository's sake, and are gone from the cache", () =>
    Effect.gen(function*() {
      const server = yield* serving({ [path]: answering(archive) })
      const item = packageOf(server.uri)
      yield* onShelf((shelf) => fetchPackages([item], shelf, hearing(), 1))
      writeFileSync(inCache(item), flipped)
      const gone = { ...item, url: `${server.uri}/gone.deb` }
      const failure = yield* Effect.flip(onShelf((shelf) => checkedPackages([gone], shelf, hearing(), 1)))
      assert.strictEqual(failure.class, "repository")
      assert.deepStrictEqual(kept(), [])
    }))

  it.effect("cut off in the cache are fetched again", () =>
    Effect.gen(function*() {
      const server = yield* serving({ [path]: answering(archive) })
      const item = packageOf(server.uri)
      yield* onShelf((shelf) => fetchPackages([item], shelf, hearing(), 1))
      writeFileSync(inCache(item), archive.subarray(0, 100))
      yield* onShelf((shelf) => fetchPackages([item], shelf, hearing(), 1))
      assert.isTrue(readFileSync(inCache(item)).equals(archive))
    }))

  const wrong: ReadonlyArray<readonly [string, Answer, RegExp]> = [
    ["are others than the lock's", answering(flipped), /its SHA-256 is [0-9a-f]{64}, not the lock's [0-9a-f]{64}$/],
    ["are longer than the lock's", answering(Buffer.concat([archive, Buffer.from("!")])), /more than the 24000 bytes of the lock$/],
    ["are cut off in the middle", (response) => {
      response.writeHead(200, { "content-length": archive.length })
      response.write(archive.subarray(0, 100), () => response.destroy())
    }, /: aborted$/],
    ["end before their time", answering(archive.subarray(0, 100)), /its SHA-256 is /],
    ["are not there", (response) => void response.writeHead(404).end(archive), /the mirror answered 404$/],
    ["cannot be given", (response) => void response.writeHead(500).end(archive), /the mirror answered 500$/]
  ]
  it.effect.each(wrong)("that %s fail for the repository's sake, and nothing of them stays", ([, answer, message]) =>
    Effect.gen(function*() {
      const server = yield* serving({ [path]: answer })
      const item = packageOf(server.uri)
      const [failure, left] = yield* onShelf((shelf) =>
        Effect.map(Effect.flip(fetchPackages([item], shelf, hearing(), 1)), (failed) => [failed, readdirSync(poolOf(shelf))] as const))
      assert.strictEqual(failure.class, "repository")
      assert.match(failure.message, message)
      assert.include(failure.message, `cannot fetch hello 1 from ${item.url}: `)
      assert.deepStrictEqual([left, kept()], [[], []])
    }))
})

const { ready, summary } = await Effect.runPromise(probe)

describe("a repository of a lock's packages", () => {
  skipWhere(!ready, summary)

  it.effect("whose index is known looks at its archives all the same, before anything is installed from them", () =>
    Effect.gen(function*() {
      const server = yield* Effect.promise(() => aptRepository([{ name: "hello", version: "1" }], (text) => text))
      opened.push(server)
      const file = "hello_1_all.deb"
      const bytes = Buffer.from(yield* Effect.promise(async () => (await fetch(`${server.uri}/${file}`)).arrayBuffer()))
      const item = { ...packageOf(""), url: `${server.uri}/${file}`, size: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") }
      const laidOut = onShelf((shelf) =>
        closedRepository(releases[0]!, "amd64", [item], [], shelf, limitsOf({}), hearing(), 1).pipe(
          Effect.flatMap(({ layOut }) => layOut("base")),
          Effect.map(() => readFileSync(join(poolOf(shelf), `${item.sha256}.deb`)))
        ))
      yield* laidOut
      const rotten = Buffer.from(bytes)
      rotten[rotten.length - 1]! ^= 1
      writeFileSync(inCache(item), rotten)
      assert.isTrue((yield* laidOut).equals(bytes))
    }))
})
