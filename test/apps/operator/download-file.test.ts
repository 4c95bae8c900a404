import { createHash, randomBytes } from "node:crypto"
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Kiln, kilnAt } from "../../../apps/operator/client.ts"
import { downloadFile, type Wanted } from "../../../apps/operator/download-file.ts"
import { Digest } from "../../../domain/ids.ts"
import { temporaryFolder } from "../../support/servers-mode.ts"
import { fakeService, type Handler, json } from "./fake-service.ts"

const content = randomBytes(300_000)
const digest = Digest.make(`sha256:${createHash("sha256").update(content).digest("hex")}`)
const wanted: Wanted = { digest, size: content.length, filename: "disk.qcow2", url: "/artifacts/disk.qcow2" }
const part = `disk.qcow2.${digest.slice(-12)}.part`

const from = (range: string | undefined) => Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0)

const whole: Handler = ({ headers: { range } }, response) => {
  response.writeHead(range === undefined ? 200 : 206).end(content.subarray(from(range)))
}

/** Sends so many bytes, then cuts the connection. */
const cutAfter = (count: number): Handler => ({ headers: { range } }, response) => {
  const start = from(range)
  response.writeHead(range === undefined ? 200 : 206, { "content-length": content.length - start })
  response.write(content.subarray(start, start + count), () => setTimeout(() => response.destroy(), 20))
}

const download = Effect.fnUntraced(function*(handlers: ReadonlyArray<Handler>, folder: string, renewed: Wanted = wanted) {
  const service = yield* fakeService(...handlers)
  const seen: Array<number> = []
  const options = { folder, onBytes: (done: number) => void seen.push(done), renew: Effect.succeed(renewed), firstDelay: "5 millis" } as const
  const result = yield* Effect.result(downloadFile(wanted, options).pipe(
    Effect.provideService(Kiln, kilnAt({ url: service.url, token: "t" }))
  ))
  return { service, result, seen, ranges: service.requests.map(({ headers }) => headers.range) }
})

describe("a download", () => {
  it.live("goes on where the connection was cut, as often as it brings something", Effect.fnUntraced(function*() {
    const folder = yield* temporaryFolder
    const cuts = Array.from({ length: 8 }, () => cutAfter(30_000))
    const { ranges, result, seen } = yield* download([...cuts, whole], folder)
    assert.deepStrictEqual(result, yield* Effect.result(Effect.succeed({ path: join(folder, "disk.qcow2"), fresh: true })))
    assert.isTrue(readFileSync(join(folder, "disk.qcow2")).equals(content))
    assert.deepStrictEqual(readdirSync(folder), ["disk.qcow2"])
    assert.deepStrictEqual(ranges, [undefined, ...Array.from({ length: 8 }, (_, at) => `bytes=${(at + 1) * 30_000}-`)])
    assert.strictEqual(seen.at(-1), content.length)
  }))

  it.live("goes on with what an earlier run has left", Effect.fnUntraced(function*() {
    const folder = yield* temporaryFolder
    writeFileSync(join(folder, part), content.subarray(0, 200_000))
    const { ranges, result } = yield* download([whole], folder)
    assert.strictEqual(result._tag, "Success")
    assert.deepStrictEqual(ranges, ["bytes=200000-"])
  }))

  it.live("asks for nothing that is there already, and replaces what is something else", Effect.fnUntraced(function*() {
    const folder = yield* temporaryFolder
    writeFileSync(join(folder, "disk.qcow2"), content)
    const first = yield* download([whole], folder)
    assert.lengthOf(first.service.requests, 0)
    writeFileSync(join(folder, "disk.qcow2"), "something else")
    const second = yield* download([whole], folder)
    assert.lengthOf(second.service.requests, 1)
    assert.strictEqual(statSync(join(folder, "disk.qcow2")).size, content.length)
  }))

  it.live("never leaves a file whose SHA-256 is wrong", Effect.fnUntraced(function*() {
    const folder = yield* temporaryFolder
    const { result } = yield* download([(_, response) => response.writeHead(200).end(randomBytes(content.length))], folder)
    assert.strictEqual(result._tag === "Failure" ? result.failure.code : 0, 1)
    assert.deepStrictEqual(readdirSync(folder), [])
  }))

  it.live("begins again where the server does not continue, or what was left is wrong", Effect.fnUntraced(function*() {
    const folder = yield* temporaryFolder
    writeFileSync(join(folder, part), content.subarray(0, 1000))
    const ignoring: Handler = (_, response) => response.writeHead(200).end(content)
    const { ranges, result } = yield* download([ignoring], folder)
    assert.strictEqual(result._tag, "Success")
    assert.deepStrictEqual(ranges, ["bytes=1000-", undefined])
  }))

  it.live("takes a new link when this one has expired", Effect.fnUntraced(function*() {
    const folder = yield* temporaryFolder
    const { result, service } = yield* download([json(403, {}), whole], folder, { ...wanted, url: "/artifacts/renewed" })
    assert.strictEqual(result._tag, "Success")
    assert.deepStrictEqual(service.requests.map(({ url }) => url), ["/artifacts/disk.qcow2", "/artifacts/renewed"])
  }))

  it.live("gives up when nothing comes any more, and keeps what has come", Effect.fnUntraced(function*() {
    const folder = yield* temporaryFolder
    const { result } = yield* download([cutAfter(50_000), json(503, {})], folder)
    assert.strictEqual(result._tag === "Failure" ? result.failure.code : 0, 6)
    assert.strictEqual(statSync(join(folder, part)).size, 50_000)
  }))

  it.live("puts no file outside its folder, whatever it is called", Effect.fnUntraced(function*() {
    const folder = yield* temporaryFolder
    const service = yield* fakeService(whole)
    const { path } = yield* downloadFile({ ...wanted, filename: "../../evil" }, { folder, renew: Effect.succeed(wanted) }).pipe(
      Effect.provideService(Kiln, kilnAt({ url: service.url, token: "t" }))
    )
    assert.strictEqual(path, join(folder, "evil"))
  }))
})
