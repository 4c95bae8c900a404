import { createHash, randomBytes } from "node:crypto"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { afterEach, beforeEach } from "vitest"
import { Digest } from "../../../domain/ids.ts"
import { HeldImages } from "../../../domain/ports/held-images.ts"
import { HeldImagesFiles } from "../../../infra/files/held-images-files.ts"
import { mountsNothing, smallDisk } from "../../support/small-disk.ts"

let folder = ""
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kiln-held-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** One run of a worker: what it knows of the folder is gone when it ends. */
const inOneRun = <A, E>(use: (images: HeldImages["Service"]) => Effect.Effect<A, E>) =>
  Effect.suspend(() => Effect.flatMap(HeldImages, use).pipe(Effect.provide(HeldImagesFiles(join(folder, "held")))))

const digestOf = (bytes: Buffer) => Digest.make(`sha256:${createHash("sha256").update(bytes).digest("hex")}`)
const manifest = digestOf(Buffer.from("manifest"))
const keep = (images: HeldImages["Service"], bytes: Buffer, of = manifest) => {
  const path = join(folder, `${digestOf(bytes).slice(7)}.raw`)
  writeFileSync(path, bytes)
  return images.keep(of, { path, format: "raw", filename: "built.raw", mediaType: "application/octet-stream" })
}
const [first, second] = [randomBytes(100_000), randomBytes(100_000)]
/** Read in pieces, so that something may happen between them. */
const large = randomBytes(8_000_000)
const nameIn = (digest: Digest) => join(folder, "held", "images", digest.replace(":", "-"))

describe("the images a worker holds", () => {
  it.effect("are offered by the run that has made them, without another look at their bytes", () =>
    inOneRun((images) => Effect.gen(function*() {
      assert.deepStrictEqual(yield* images.held, [])
      const artifact = yield* keep(images, first)
      assert.strictEqual(artifact.digest, digestOf(first))
      assert.deepStrictEqual(yield* images.held, [artifact.digest])
      assert.isTrue(readFileSync((yield* images.path(artifact.digest))!).equals(first))
      assert.deepStrictEqual(yield* images.find(manifest), artifact)
    })))

  it.effect("are offered by a later run only after it has compared them with their digests", () =>
    Effect.gen(function*() {
      const artifact = yield* inOneRun((images) => keep(images, first))
      yield* inOneRun((images) => Effect.gen(function*() {
        assert.deepStrictEqual(yield* images.held, [])
        yield* images.check
        assert.deepStrictEqual(yield* images.held, [artifact.digest])
        assert.deepStrictEqual(yield* images.find(manifest), artifact)
      }))
    }))

  it.effect("are removed and not offered when a byte of them has changed, and the others stay", () =>
    Effect.gen(function*() {
      const [damaged, sound] = yield* inOneRun((images) => Effect.all([keep(images, first), keep(images, second, digestOf(second))]))
      const bytes = Buffer.from(first)
      bytes[50_000]! ^= 1
      writeFileSync(nameIn(damaged.digest), bytes)
      yield* inOneRun((images) => Effect.gen(function*() {
        yield* images.check
        assert.deepStrictEqual(yield* images.held, [sound.digest])
        assert.isUndefined(yield* images.path(damaged.digest))
        assert.isUndefined(yield* images.find(manifest))
        assert.isFalse(existsSync(nameIn(damaged.digest)))
        // What is built anew takes its place.
        assert.strictEqual((yield* keep(images, first)).digest, damaged.digest)
        assert.isTrue(readFileSync((yield* images.path(damaged.digest))!).equals(first))
      }))
    }))

  it.effect("are compared by whoever asks for one before the check has come to it", () =>
    Effect.gen(function*() {
      const { digest } = yield* inOneRun((images) => keep(images, first))
      writeFileSync(nameIn(digest), first.subarray(1))
      yield* inOneRun((images) => Effect.gen(function*() {
        assert.isUndefined(yield* images.path(digest))
        assert.deepStrictEqual(yield* images.held, [])
      }))
    }))

  it.effect("are gone when they are dropped, while others stay, and are kept anew when they are built again", () =>
    inOneRun((images) => Effect.gen(function*() {
      const [{ digest }, other] = yield* Effect.all([keep(images, first), keep(images, second, digestOf(second))])
      yield* images.drop(digest)
      assert.deepStrictEqual(yield* images.held, [other.digest])
      assert.isFalse(existsSync(nameIn(digest)))
      assert.isUndefined(yield* images.path(digest))
      assert.isUndefined(yield* images.find(manifest))
      yield* images.drop(digest)
      yield* keep(images, first)
      assert.sameMembers([...yield* images.held], [digest, other.digest])
      assert.isTrue(readFileSync((yield* images.path(digest))!).equals(first))
    })))

  it.effect("are gone when they are dropped before or while they are compared", () =>
    Effect.gen(function*() {
      const [one, other] = yield* inOneRun((images) => Effect.all([keep(images, first), keep(images, large, digestOf(large))]))
      yield* inOneRun((images) => Effect.gen(function*() {
        yield* images.drop(one.digest)
        yield* Effect.all([images.path(other.digest), images.drop(other.digest)], { concurrency: "unbounded" })
        assert.isFalse(existsSync(nameIn(one.digest)) || existsSync(nameIn(other.digest)))
        yield* images.check
        assert.deepStrictEqual(yield* images.held, [])
      }))
    }))

  it.effect("are none that the disk has no room for, and no half of one stays: the next that fits is held", (context) =>
    Effect.scoped(Effect.gen(function*() {
      if (!(yield* smallDisk(join(folder, "held"), "1m"))) return context.skip(mountsNothing)
      yield* inOneRun((images) => Effect.gen(function*() {
        assert.match((yield* Effect.flip(keep(images, large, digestOf(large)))).message, /no space left/u)
        assert.deepStrictEqual(readdirSync(join(folder, "held", "images")), [])
        const { digest } = yield* keep(images, first)
        assert.deepStrictEqual(yield* images.held, [digest])
      }))
    })))

  it.effect("are not offered any more once somebody has removed the file, nor is half a copy of a run that was killed", () =>
    Effect.gen(function*() {
      const { digest } = yield* inOneRun((images) => keep(images, first))
      const half = `${nameIn(digest)}.0b5e.new`
      writeFileSync(half, first.subarray(0, 10))
      yield* inOneRun((images) => Effect.gen(function*() {
        yield* images.check
        assert.isFalse(existsSync(half))
        rmSync(nameIn(digest))
        assert.isUndefined(yield* images.path(digest))
        assert.deepStrictEqual(yield* images.held, [])
      }))
    }))
})
