/** Archives by their SHA-256: from a folder over HTTP into a cache, whole and right or not at all. */
import { createHash } from "node:crypto"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { type Lock, type LockedPackage, manifestOf } from "../../../domain/manifest.ts"
import type { BuildFailed } from "../../../domain/ports/image-builder.ts"
import { cacheAt, type Shelf } from "../../../infra/cache/cache.ts"
import { debianBuilder } from "../../../infra/debian/builder.ts"
import { closedRepository } from "../../../infra/debian/closed-repository.ts"
import { debianConfigOf } from "../../../infra/debian/config.ts"
import { releases } from "../../../infra/debian/distributions.ts"
import { checkedPackages, fetchPackages, poolOf } from "../../../infra/debian/packages.ts"
import { snapshotsOf } from "../../../infra/debian/snapshots.ts"
import { probe } from "../../../infra/debian/tools.ts"
import { limitsOf } from "../../../infra/sandbox/limits.ts"
import { aptRepository } from "../../support/apt-repository.ts"
import { skipWhere } from "../../support/needs.ts"
import { hearing, typedSpec } from "./real.ts"

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
    ["are not there", (response) => void response.writeHead(404).end(archive), /the server answered 404$/],
    ["cannot be given", (response) => void response.writeHead(500).end(archive), /the server answered 500$/]
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

const [release] = releases
const suites = ["bookworm", "bookworm-updates", "bookworm-security"]

/** A lock whose Release files were made at these times, of two mirrors on one server. */
const lockOf = (uri: string, dates: ReadonlyArray<string | undefined>): Lock => ({
  distribution: "debian-12", architecture: "x86_64", packages: [],
  sources: suites.map((suite, at) => ({
    uri: `${uri}/${at < 2 ? "debian" : "debian-security"}`, suite, revision: "r", ...(dates[at] !== undefined && { date: dates[at] })
  }))
})
const dates = ["2025-09-06T09:12:05.000Z", "2025-11-20T02:00:00.000Z", "2025-11-21T23:30:00.000Z"]

describe("archives that the mirror has dropped", () => {
  const lost = `/debian${path}`
  const snapshot = `/archive/debian/20251121T020000Z${path}`
  const fetched = Effect.fnUntraced(function*(mirrors: Record<string, Answer>, snapshots: Record<string, Answer>, from = dates) {
    const mirror = yield* serving(mirrors)
    const archives = yield* serving(snapshots)
    const item = { ...packageOf(""), url: `${mirror.uri}${lost}` }
    const report = hearing()
    const elsewhere = snapshotsOf(`${archives.uri}/archive`, release!, lockOf(mirror.uri, from))
    const result = yield* Effect.result(onShelf((shelf) => fetchPackages([item], shelf, report, 1, { guarded: () => false, elsewhere })))
    return { archives, item, mirror, report, result }
  })
  const failureOf = <A>(result: Result.Result<A, BuildFailed>) => {
    assert.isTrue(Result.isFailure(result))
    return Result.isFailure(result) ? result.failure : assert.fail()
  }

  it.effect.each([404, 410])("with %s come from the snapshot of the lock's time, at once", (status) =>
    Effect.gen(function*() {
      const gone: Answer = (response) => void response.writeHead(status).end()
      const { archives, item, mirror, report, result } = yield* fetched({ [lost]: gone }, { [snapshot]: answering(archive) })
      assert.isTrue(Result.isSuccess(result))
      assert.isTrue(readFileSync(inCache(item)).equals(archive))
      assert.deepStrictEqual([mirror.asked, archives.asked], [[lost], [snapshot]])
      assert.include(report.lines, `hello 1 is gone from the mirror and came from ${archives.uri}${snapshot}`)
    }))

  it.effect("are not taken from a snapshot that has other bytes", () =>
    Effect.gen(function*() {
      const { archives, item, result } = yield* fetched({}, { [snapshot]: answering(flipped) })
      const failure = failureOf(result)
      assert.strictEqual(failure.class, "repository")
      assert.match(failure.message, /its SHA-256 is [0-9a-f]{64}, not the lock's [0-9a-f]{64}$/)
      assert.include(failure.message, `from ${item.url}: the server answered 404; nor from ${archives.uri}${snapshot}: `)
      assert.deepStrictEqual(kept(), [])
    }))

  it.effect("and the snapshot lacks too, fail after one question each, with both places in the message", () =>
    Effect.gen(function*() {
      const { archives, item, mirror, result } = yield* fetched({}, {})
      const failure = failureOf(result)
      assert.strictEqual(failure.class, "repository")
      assert.strictEqual(failure.message,
        `cannot fetch hello 1 from ${item.url}: the server answered 404; nor from ${archives.uri}${snapshot}: the server answered 404`)
      assert.deepStrictEqual([mirror.asked.length, archives.asked.length], [1, 1])
    }))

  it.effect("are asked for again where the snapshots cannot answer now", () =>
    Effect.gen(function*() {
      let refusals = 1
      const { archives, result } = yield* fetched({}, {
        [snapshot]: (response) => void (refusals-- > 0 ? response.writeHead(503).end() : response.end(archive))
      })
      assert.isTrue(Result.isSuccess(result))
      assert.deepStrictEqual(archives.asked, [snapshot, snapshot])
    }))

  it.effect("are looked for nowhere else while the mirror cannot answer", () =>
    Effect.gen(function*() {
      const { archives, mirror, result } = yield* fetched({ [lost]: (response) => void response.writeHead(503).end() }, { [snapshot]: answering(archive) })
      assert.match(failureOf(result).message, /the server answered 503$/)
      assert.deepStrictEqual([mirror.asked.length, archives.asked.length], [3, 0])
    }))

  it.effect("are looked for nowhere else by a lock that does not say when it was made", () =>
    Effect.gen(function*() {
      const { archives, mirror, result } = yield* fetched({}, { [snapshot]: answering(archive) }, [])
      assert.match(failureOf(result).message, /the server answered 404$/)
      assert.deepStrictEqual([mirror.asked.length, archives.asked.length], [1, 0])
    }))
})

describe("a build of a lock whose mirror has dropped a package", () => {
  it.effect("asks the archive of snapshots that is configured", () =>
    Effect.gen(function*() {
      const mirror = yield* serving({})
      const archives = yield* serving({})
      const config = debianConfigOf(dir, { KILN_DEBIAN_SNAPSHOT: `${archives.uri}/archive/` })
      const lock = { ...lockOf(mirror.uri, dates), packages: [{ ...packageOf(""), url: `${mirror.uri}/debian-security${path}` }] }
      const spec = typedSpec("container", {}, undefined, "debian-12")
      const failure = yield* Effect.flip(debianBuilder(config).build(manifestOf("debian", spec, lock), new Map(), dir, hearing()))
      assert.strictEqual(failure.class, "repository")
      assert.deepStrictEqual(archives.asked, [`/archive/debian-security/20251122T233000Z${path}`])
    }))
})

describe("where a dropped archive may be", () => {
  const lock = lockOf("http://m", dates)
  const places = (url: string, from = lock, of = release!) => snapshotsOf("http://s/archive", of, from)(url)

  it("is the snapshot of a day after the newest of its mirror's Release files", () => {
    assert.deepStrictEqual(places("http://m/debian/pool/a_1%2b2.deb"), ["http://s/archive/debian/20251121T020000Z/pool/a_1%2b2.deb"])
    assert.deepStrictEqual(places("http://m/debian-security/pool/a.deb"), ["http://s/archive/debian-security/20251122T233000Z/pool/a.deb"])
  })
  it("is nowhere without an archive of snapshots", () => assert.deepStrictEqual(snapshotsOf(undefined, release!, lock)("http://m/debian/a.deb"), []))
  it("is nowhere for what a tenant's repository had", () => {
    const own = { ...lock, sources: [...lock.sources, { uri: "http://t", suite: "bookworm", revision: "r", date: dates[0]! }] }
    assert.deepStrictEqual(places("http://t/pool/a.deb", own), [])
  })
  it("is nowhere for Ubuntu, which Debian's archive does not have", () => {
    const ubuntu = releases.find(({ id }) => id === "ubuntu-24.04")!
    const sources = ubuntu.sources.map(({ suite }) => ({ uri: "http://u", suite, revision: "r", date: dates[0]! }))
    assert.deepStrictEqual(places("http://u/pool/a.deb", { ...lock, sources }, ubuntu), [])
  })
  it("is in one or the other where one mirror has both", () => {
    const both = { ...lock, sources: lock.sources.map((source) => ({ ...source, uri: "http://m" })) }
    assert.deepStrictEqual(places("http://m/pool/a.deb", both), [
      "http://s/archive/debian/20251121T020000Z/pool/a.deb", "http://s/archive/debian-security/20251122T233000Z/pool/a.deb"
    ])
  })
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
