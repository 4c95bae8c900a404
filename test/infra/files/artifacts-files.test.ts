import { createHash, randomBytes } from "node:crypto"
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule, Stream } from "effect"
import { afterEach, beforeEach } from "vitest"
import { Digest } from "../../../domain/ids.ts"
import { Artifacts } from "../../../domain/ports/artifacts.ts"
import { ArtifactsFiles } from "../../../infra/files/artifacts-files.ts"

let folder = ""
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kiln-artifacts-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const withArtifacts = <A, E>(use: (artifacts: Artifacts["Service"]) => Effect.Effect<A, E>, at = "store") =>
  Effect.suspend(() => Effect.flatMap(Artifacts, use).pipe(Effect.provide(ArtifactsFiles(join(folder, at)))))

const aFile = (bytes: Buffer = randomBytes(700_000), at = folder) => {
  const file = join(at, "built.qcow2")
  writeFileSync(file, bytes)
  return { file, bytes, digest: Digest.make(`sha256:${createHash("sha256").update(bytes).digest("hex")}`) }
}

const read = (artifacts: Artifacts["Service"], digest: Digest, start: number, end: number) =>
  Effect.map(Stream.runCollect(artifacts.read(digest, start, end)), (chunks) => Buffer.concat(chunks))

describe("the artifact store", () => {
  it.effect("keeps a file under its digest, and leaves the file where it was", () =>
    withArtifacts((artifacts) =>
      Effect.gen(function*() {
        const { file, bytes, digest } = aFile()
        assert.deepStrictEqual(yield* artifacts.put(file, digest), { digest, size: bytes.length })
        assert.isTrue(readFileSync(file).equals(bytes))
        assert.strictEqual(yield* artifacts.size(digest), bytes.length)
        const hex = digest.slice(7)
        assert.deepStrictEqual(readdirSync(join(folder, "store", "sha256", hex.slice(0, 2))).sort(), [hex, `${hex}.used`])
      })))

  it.effect("takes a file of the same disk by link, without copying", () =>
    withArtifacts((artifacts) =>
      Effect.gen(function*() {
        const { file, digest } = aFile()
        yield* artifacts.put(file, digest)
        assert.strictEqual(statSync(file).nlink, 2)
      })))

  it.effect("takes a file of another disk by copy", (context) =>
    withArtifacts((artifacts) =>
      Effect.gen(function*() {
        const shm = "/dev/shm"
        if (!readdirSync("/dev").includes("shm") || statSync(shm).dev === statSync(folder).dev) return context.skip("there is no second disk")
        const elsewhere = mkdtempSync(join(shm, "kiln-artifacts-"))
        const { file, bytes, digest } = aFile(undefined, elsewhere)
        yield* artifacts.put(file, digest)
        rmSync(elsewhere, { recursive: true })
        assert.isTrue((yield* read(artifacts, digest, 0, bytes.length - 1)).equals(bytes))
      })))

  it.effect("takes the same file again, from several at once, as nothing new", () =>
    withArtifacts((artifacts) =>
      Effect.gen(function*() {
        const { file, bytes, digest } = aFile()
        const blobs = yield* Effect.all(Array.from({ length: 10 }, () => artifacts.put(file, digest)), { concurrency: "unbounded" })
        assert.deepStrictEqual(blobs, blobs.map(() => ({ digest, size: bytes.length })))
        assert.lengthOf(readdirSync(join(folder, "store", "sha256", digest.slice(7, 9))), 2)
      })))

  it.effect("lets go of a file that nobody has put since, with its mark, and of what is not there", () =>
    withArtifacts((artifacts) =>
      Effect.gen(function*() {
        const { file, digest } = aFile()
        yield* artifacts.put(file, digest)
        yield* artifacts.remove(digest, Date.now() + 1)
        assert.isUndefined(yield* artifacts.size(digest))
        assert.deepStrictEqual(readdirSync(join(folder, "store", "sha256", digest.slice(7, 9))), [])
        yield* artifacts.remove(digest, Date.now() + 1)
        assert.strictEqual((yield* artifacts.put(file, digest)).size, readFileSync(file).length)
      })))

  it.effect("keeps a file that was put again since, be that as nothing new", () =>
    withArtifacts((artifacts) =>
      Effect.gen(function*() {
        const { file, bytes, digest } = aFile()
        yield* artifacts.put(file, digest)
        const before = Date.now() - 60_000
        const mark = join(folder, "store", "sha256", digest.slice(7, 9), `${digest.slice(7)}.used`)
        utimesSync(mark, new Date(before - 60_000), new Date(before - 60_000))
        yield* artifacts.put(file, digest)
        yield* artifacts.remove(digest, before)
        assert.strictEqual(yield* artifacts.size(digest), bytes.length)
        utimesSync(mark, new Date(before - 60_000), new Date(before - 60_000))
        yield* artifacts.remove(digest, before)
        assert.isUndefined(yield* artifacts.size(digest))
      })))

  it.effect("is never without a file that is put while it is removed, whoever comes first", () =>
    withArtifacts((artifacts) =>
      Effect.gen(function*() {
        const { file, bytes, digest } = aFile(randomBytes(1000))
        for (let turn = 0; turn < 200; turn++) {
          yield* artifacts.put(file, digest)
          const mark = join(folder, "store", "sha256", digest.slice(7, 9), `${digest.slice(7)}.used`)
          utimesSync(mark, new Date(0), new Date(0))
          yield* Effect.all([artifacts.remove(digest, 1), artifacts.put(file, digest)], { concurrency: "unbounded" })
          assert.strictEqual(yield* artifacts.size(digest), bytes.length, `turn ${turn}`)
        }
      })))

  it.effect("reads any part, in pieces", () =>
    withArtifacts((artifacts) =>
      Effect.gen(function*() {
        const { file, bytes, digest } = aFile()
        yield* artifacts.put(file, digest)
        for (const [start, end] of [[0, 0], [0, 699_999], [262_143, 262_145], [699_999, 699_999]] as const) {
          assert.isTrue((yield* read(artifacts, digest, start, end)).equals(bytes.subarray(start, end + 1)))
        }
        const chunks = yield* Stream.runCollect(artifacts.read(digest, 0, bytes.length - 1))
        assert.isAbove(chunks.length, 1)
      })))

  it.effect("keeps a file without content", () =>
    withArtifacts((artifacts) =>
      Effect.gen(function*() {
        const { file, digest } = aFile(Buffer.alloc(0))
        yield* artifacts.put(file, digest)
        assert.strictEqual(yield* artifacts.size(digest), 0)
        assert.lengthOf(yield* read(artifacts, digest, 0, -1), 0)
      })))

  it.effect("says that it has no such file", () =>
    withArtifacts((artifacts) =>
      Effect.gen(function*() {
        const missing = Digest.make(`sha256:${"0".repeat(64)}`)
        assert.isUndefined(yield* artifacts.size(missing))
        assert.isFalse((yield* Effect.flip(read(artifacts, missing, 0, 10))).full)
      })))

  it.live("stops copying when nobody wants it any more, and leaves nothing behind", (context) =>
    withArtifacts((artifacts) =>
      Effect.gen(function*() {
        const shm = "/dev/shm"
        if (!readdirSync("/dev").includes("shm") || statSync(shm).dev === statSync(folder).dev) return context.skip("there is no second disk")
        const elsewhere = mkdtempSync(join(shm, "kiln-artifacts-"))
        const { file, digest } = aFile(Buffer.alloc(400 * 1024 * 1024, 7), elsewhere)
        const place = join(folder, "store", "sha256", digest.slice(7, 9))
        const drafts = Effect.sync(() => existsSync(place) ? readdirSync(place) : [])
        const copying = yield* Effect.forkChild(artifacts.put(file, digest))
        yield* drafts.pipe(Effect.repeat({ until: (names) => names.length > 0, schedule: Schedule.spaced("1 millis") }))
        yield* Fiber.interrupt(copying)
        yield* drafts.pipe(Effect.repeat({ until: (names) => names.length === 0, schedule: Schedule.spaced("5 millis") }))
        rmSync(elsewhere, { recursive: true })
        assert.isUndefined(yield* artifacts.size(digest))
      })))

  it.effect("keeps what it has from being written to", () =>
    withArtifacts((artifacts) =>
      Effect.gen(function*() {
        const { file, digest } = aFile()
        yield* artifacts.put(file, digest)
        const hex = digest.slice(7)
        assert.strictEqual(statSync(join(folder, "store", "sha256", hex.slice(0, 2), hex)).mode & 0o222, 0)
        chmodSync(file, 0o600)
      })))

  it.effect("says so when the disk is full, and leaves nothing behind", (context) =>
    Effect.gen(function*() {
      const small = join(folder, "small")
      mkdirSync(small)
      const { spawnSync } = yield* Effect.promise(() => import("node:child_process"))
      if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", small]).status !== 0) {
        return context.skip("this machine lets us mount nothing")
      }
      try {
        const { file, digest } = aFile()
        const error = yield* Effect.flip(withArtifacts((artifacts) => artifacts.put(file, digest), "small"))
        assert.isTrue(error.full)
        assert.deepStrictEqual(readdirSync(join(small, "sha256", digest.slice(7, 9))), [])
      } finally {
        spawnSync("umount", [small])
      }
    }))
})
