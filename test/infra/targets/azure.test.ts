import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { readFileSync } from "node:fs"
import { mkdtemp, open, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Exit, Fiber } from "effect"
import { afterAll, beforeAll } from "vitest"
import type { Artifact } from "../../../domain/artifact.ts"
import { ComposeId } from "../../../domain/ids.ts"
import type { Delivery } from "../../../domain/ports/image-targets.ts"
import { AttemptMeter, Meter } from "../../../domain/ports/meter.ts"
import type { TargetOf } from "../../../domain/target.ts"
import { convert } from "../../../infra/formats/convert.ts"
import { azureTargetWith } from "../../../infra/targets/azure/target.ts"
import { azureStandIn } from "../../support/azure-stand-in.ts"
import { deliver as carry, deliveryOf, deployment, isMarkedWhole, newJournal, type Said } from "../../support/deliver.ts"
import { needs } from "../../support/needs.ts"
import { account, container } from "../../support/page-blob-stand-in.ts"

type Azure = TargetOf<"azure">
const KiB = 1024
const MiB = 2 ** 20
const composeId = ComposeId.make("019a0de0-0000-7000-8000-000000000001")
let dir = ""
let disk: Delivery<Azure>

/** Not of whole MiB, with holes; three pieces of 4 MiB have anything in them, and little. */
const written = [[0, 300 * KiB], [5 * MiB, 100 * KiB], [13 * MiB + 700, 1000]] as const
const size = 13 * MiB + 4096

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "kiln-azure-"))
  const file = await open(join(dir, "disk.raw"), "w")
  await file.truncate(size)
  for (const [at, length] of written) await file.write(randomBytes(length), 0, length, at)
  await file.close()
  await Effect.runPromise(convert({ path: join(dir, "disk.raw"), format: "raw" }, { path: join(dir, "disk.vhd"), format: "vhd" }))
  disk = await deliveryOf<Azure>({ target: targetOf(), credentials: undefined, path: join(dir, "disk.raw"), delivery: { composeId } })
})
afterAll(() => rm(dir, { recursive: true, force: true }))

const targetOf = (over: Partial<Azure> = {}): Azure => ({
  type: "azure", subscription: "5b1d4f1e-0000-4000-8000-000000000003", resource_group: "images", location: "westeurope", storage_account: account, container, ...over
})

const make = (workers = 3) => Effect.gen(function*() {
  const azure = yield* azureStandIn
  const target = azureTargetWith({ pauseMs: 5, pollMs: 1, workers, ca: azure.ca })
  const said: Said = { progress: [], lines: [] }
  let journal = newJournal(azure.dir)
  const deliver = (over: Partial<Delivery<Azure>> = {}) => carry(target, { ...disk, credentials: azure.credentials(), ...over }, journal, said)
  /** As if the worker was killed when the cloud had done what it was asked, before it could say so. */
  const killedAt = Effect.fnUntraced(function*(call: number) {
    const reached = azure.at(call)
    const fiber = yield* Effect.forkChild(Effect.exit(deliver()))
    yield* Effect.race(Effect.promise(() => reached), Fiber.join(fiber))
    yield* Fiber.interrupt(fiber)
    azure.reset()
  })
  const loseJournal = Effect.sync(() => void (journal = newJournal(azure.dir)))
  return { ...azure, deliver, killedAt, loseJournal, said, target }
})

/** Byte for byte what the conversion makes. */
const isTheVhd = (vhd: string | undefined) => assert.isTrue(readFileSync(vhd!).equals(readFileSync(join(dir, "disk.vhd"))))

/** And what is in it is what was built, as others see it. */
const isTheDisk = (vhd: string | undefined) => {
  isTheVhd(vhd)
  const said = execFileSync("qemu-img", ["compare", "-f", "raw", "-F", "vpc", join(dir, "disk.raw"), vhd!], { encoding: "utf8" })
  assert.include(said, "identical")
}

describe("an image delivered to Azure", () => {
  needs("qemu-img")

  it.live("is a fixed VHD made on the way, sent without its zeros, marked, and leaves no blob behind", () =>
    Effect.gen(function*() {
      const { arm, blobs, credentials, deliver, said, target } = yield* make()
      const copy = yield* deliver({ target: targetOf({ tags: { team: "a" } }) })
      yield* isMarkedWhole(target, { ...disk, credentials: credentials() }, copy)
      const [image] = arm.ofKind("images")
      assert.strictEqual(copy.id, image?.id)
      assert.deepStrictEqual(copy.resources, [{ kind: "image", id: image!.id, place: "westeurope" }])
      isTheDisk(image?.disk)
      assert.deepInclude(image?.body.properties, { hyperVGeneration: "V2" })
      assert.deepInclude(image?.body.tags, { team: "a", "kiln-tenant": "acme", "kiln-compose": composeId, "kiln-job": "0-upload-0" })
      assert.strictEqual(blobs.blobs.size, 0)
      // What is written, in whole blocks of 64 KiB, and the footer.
      assert.strictEqual(blobs.bytesReceived(), (5 + 2 + 1) * 64 * KiB + 512)
      assert.strictEqual(copy.bytesSent, blobs.bytesReceived())
      assert.strictEqual(said.progress.filter(({ stage }) => stage === "upload").at(-1)?.percent, 80)
    }))

  it.live("is taken as it is where it is a VHD already", () =>
    Effect.gen(function*() {
      const { arm, credentials, deliver } = yield* make()
      const vhd = yield* Effect.promise(() => deliveryOf<Azure>({ target: targetOf({ generation: "V1" }), credentials: credentials(), path: join(dir, "disk.vhd"), delivery: { composeId } }))
      const copy = yield* deliver({ ...vhd, artifact: { ...vhd.artifact, format: "vhd" } })
      isTheDisk(arm.ofKind("images")[0]?.disk)
      assert.deepInclude(arm.ofKind("images")[0]?.body.properties, { hyperVGeneration: "V1" })
      assert.strictEqual(copy.digest, `sha256:${vhd.sha256}`)
      const wrong = yield* Effect.flip(deliver({ artifact: { ...disk.artifact, format: "vhd" }, deliveryId: "another" }))
      assert.deepInclude(wrong, { class: "user" })
    }))

  for (const gallery of [undefined, { name: "kiln.gallery", image: "debian", regions: ["northeurope"] }]) {
    it.live(`is one ${gallery === undefined ? "image" : "version in a gallery"} and no blob, wherever the worker was killed, with its journal and without`, () =>
      Effect.gen(function*() {
        const over = gallery === undefined ? {} : { target: targetOf({ gallery }) }
        const kept = gallery === undefined ? "images" : "versions"
        const begin = Effect.tap(make(), ({ arm }) => Effect.sync(() => arm.addGallery("kiln.gallery")))
        const whole = yield* begin
        const meter = new Meter()
        yield* Effect.provideService(whole.deliver(over), AttemptMeter, meter)
        const calls = whole.calls()
        assert.isAbove(calls, 10)
        assert.strictEqual(meter.spent?.cloudCalls, whole.served())
        for (const lost of gallery === undefined ? [false, true] : [true]) {
          // Up to the blob's end both are one.
          for (let call = gallery === undefined ? 1 : calls - 7; call <= calls; call++) {
            yield* Effect.scoped(Effect.gen(function*() {
              const azure = yield* begin
              const reached = azure.at(call)
              const fiber = yield* Effect.forkChild(Effect.exit(azure.deliver(over)))
              yield* Effect.race(Effect.promise(() => reached), Fiber.join(fiber))
              yield* Fiber.interrupt(fiber)
              azure.reset()
              if (lost) yield* azure.loseJournal
              yield* azure.deliver(over)
              const at = `killed at call ${call}, journal ${lost ? "lost" : "kept"}`
              assert.deepStrictEqual([azure.arm.ofKind(kept).length, azure.arm.puts(), azure.blobs.blobs.size], [1, 1, 0], at)
              assert.strictEqual(azure.arm.ofKind(kept)[0]?.state, "Succeeded", at)
              isTheVhd(azure.arm.ofKind(kept)[0]?.disk)
            }))
          }
        }
      }))
  }

  it.live("is sent from where the last attempt stopped, and anew where the blob has been taken away", () =>
    Effect.gen(function*() {
      const { arm, blobs, deliver, killedAt } = yield* make(1)
      const whole = yield* make(1)
      yield* whole.deliver()
      // Image, blob, its creation, then one page after the other: of the third no answer came.
      yield* killedAt(6)
      assert.strictEqual(blobs.writes(), 3)
      yield* deliver()
      assert.strictEqual(blobs.writes(), whole.blobs.writes() + 1)
      isTheDisk(arm.ofKind("images")[0]?.disk)

      const other = yield* make()
      yield* other.killedAt(6)
      other.blobs.blobs.clear()
      yield* other.deliver()
      isTheDisk(other.arm.ofKind("images")[0]?.disk)
    }))

  it.live("is a version in a gallery, for the machines it can run on, in the regions that are named", () =>
    Effect.gen(function*() {
      const { arm, credentials, deliver, target } = yield* make()
      const gallery = { name: "kiln.gallery", image: "debian", regions: ["northeurope"] }
      assert.match((yield* Effect.flip(deliver({ target: targetOf({ gallery }) }))).message, /ParentResourceNotFound/)
      arm.addGallery("kiln.gallery")
      const copy = yield* deliver({ target: targetOf({ gallery }) })
      yield* isMarkedWhole(target, { ...disk, target: targetOf({ gallery }), credentials: credentials() }, copy)
      const [version] = arm.ofKind("versions")
      const at = new Date(Number.parseInt(composeId.replace("-", "").slice(0, 12), 16)).toISOString()
      assert.include(copy.id, `/galleries/kiln.gallery/images/debian/versions/${at.slice(0, 10).replaceAll("-", "")}.`)
      assert.strictEqual(copy.id, version?.id)
      assert.deepStrictEqual(version?.body.properties.publishingProfile.targetRegions.map(({ name }: { readonly name: string }) => name), ["westeurope", "northeurope"])
      assert.deepInclude(arm.ofKind("definitions")[0]?.body.properties, { architecture: "x64", hyperVGeneration: "V2", osType: "Linux" })
      isTheDisk(version?.disk)

      const arm64 = { image: { architecture: "aarch64", type: "guest-image" }, deliveryId: "arm" } as const
      const failed = yield* Effect.flip(deliver({ ...arm64, target: targetOf({ gallery }) }))
      assert.deepInclude(failed, { class: "user" })
      assert.include(failed.message, "this image is for Linux on Arm64")
      yield* deliver({ ...arm64, target: targetOf({ gallery: { name: "kiln.gallery", image: "debian-arm64", version: "1.0.42" } }) })
      assert.deepInclude(arm.ofKind("definitions")[1]?.body.properties, { architecture: "Arm64", hyperVGeneration: "V2" })
      yield* target.remove(targetOf({ gallery }), copy.resources, undefined).pipe(Effect.flip)
    }))

  it.live("survives busy servers and answers that ask for patience", () =>
    Effect.gen(function*() {
      const { arm, deliver, failWith } = yield* make()
      failWith(/^PUT .*comp=page/, 503, "ServerBusy", "The server is busy.", { "retry-after": "0" })
      failWith(/^PUT .*comp=page/, 500, "InternalError", "The server encountered an internal error. Please retry the request.")
      failWith(/^HEAD /, 503, "ServerBusy", "The server is busy.")
      failWith(/^PUT .*Microsoft.Compute/, 429, "TooManyRequests", "The request is being throttled.", { "retry-after": "0" })
      yield* deliver()
      isTheDisk(arm.ofKind("images")[0]?.disk)
    }))

  it.live("is not taken for somebody else's of the same name", () =>
    Effect.gen(function*() {
      const { arm, deliver } = yield* make()
      const named = { target: targetOf({ name: "golden" }) }
      yield* deliver({ ...named, deliveryId: "another" })
      const failed = yield* Effect.flip(deliver(named))
      assert.deepInclude(failed, { class: "user" })
      assert.include(failed.message, "golden is there, and was not made by this delivery")
      assert.strictEqual(arm.puts(), 1)
    }))

  it.live("fails with Azure's code and words, in the class that says whose turn it is", () =>
    Effect.gen(function*() {
      const { arm, blobs, credentials, deliver, failWith } = yield* make()
      const why = (over: Partial<Delivery<Azure>> = {}) => Effect.map(Effect.flip(deliver(over)), ({ class: whose, message }) => `${whose} ${message}`)
      assert.match(yield* why({ target: targetOf({ container: "nobodys" }) }), /^user blobs\.create: ContainerNotFound: The specified container does not exist/)
      assert.match(yield* why({ target: targetOf({ resource_group: "nobodys" }) }), /^user .*ResourceGroupNotFound/)
      assert.match(yield* why({ credentials: credentials({ client_secret: "a stranger's" }) }), /^user .*AADSTS7000215/)
      assert.match(yield* why({ credentials: credentials({ storage_key: "d3Jvbmc=" }) }), /^user .*AuthenticationFailed/)
      assert.match(yield* why({ credentials: undefined }), /^user .*needs credentials/)
      arm.failImportWith("InternalDiskManagementError", "Disk import failed.")
      assert.match(yield* why(), /^target-fault .*InternalDiskManagementError: Disk import failed/)
      arm.failImportWith("QuotaExceeded", "The quota of images is exceeded.")
      assert.match(yield* why(), /^target-quota .*QuotaExceeded/)
      failWith(/^DELETE .*\.vhd/, 403, "AuthorizationPermissionMismatch", "This request is not authorized to perform this operation using this permission.")
      assert.match(yield* why(), /^user blobs\.delete: AuthorizationPermissionMismatch/)
      yield* deliver()
      assert.deepStrictEqual([arm.ofKind("images").length, blobs.blobs.size], [1, 0])
    }))

  it.live("is sent with the storage account's own key where one is given", () =>
    Effect.gen(function*() {
      const { arm, credentials, deliver, storageKey } = yield* make()
      yield* deliver({ credentials: credentials({ storage_key: storageKey }) })
      isTheDisk(arm.ofKind("images")[0]?.disk)
    }))
})

describe("what is kept at Azure", () => {
  needs("qemu-img")

  it.live("is found by its marks, finished or not, page by page, and removed in any state", () =>
    Effect.gen(function*() {
      const { arm, blobs, credentials, deliver, killedAt, target } = yield* make()
      const gallery = { name: "kiln.gallery", image: "debian" }
      arm.addGallery("kiln.gallery")
      const [where, who] = [targetOf({ gallery }), credentials()]
      for (const each of ["one", "two", "three"]) yield* deliver({ deliveryId: each })
      yield* deliver({ deliveryId: "four", target: where })
      yield* deliver({ deliveryId: "foreign", deployment: "another" })
      yield* killedAt(5)
      const found = yield* target.marked(where, who, deployment)
      assert.deepStrictEqual(found.map(({ resource: { kind } }) => kind), ["image", "image", "image", "version", "blob"])
      assert.deepStrictEqual(found[4]!.marks, { deployment, tenantId: disk.tenantId, composeId, jobId: disk.jobId })
      assert.isAbove(found[4]!.madeAt!, 0)
      arm.linger(3)
      for (const again of [1, 2]) {
        yield* target.remove(where, found.map(({ resource }) => resource), who)
        assert.deepStrictEqual([arm.ofKind("images").map(({ id }) => id.split("/").at(-1)), arm.ofKind("versions").length, blobs.blobs.size], [["kiln-foreign"], 0, 0], String(again))
      }
    }))

  it.live("is checked before an image is wasted on it, and nothing stays", () =>
    Effect.gen(function*() {
      const { arm, blobs, credentials, target } = yield* make()
      const check = (over: Partial<Azure> = {}, who = credentials()) => target.check(targetOf(over), who)
      assert.deepStrictEqual(yield* check(), [])
      assert.deepStrictEqual((yield* check({ container: "nobodys" })).map(({ what }) => what), ["blobs.create"])
      assert.deepStrictEqual((yield* check({ gallery: { name: "nobodys", image: "debian" } })).map(({ what }) => what), ["galleries.get"])
      assert.include((yield* check({}, credentials({ client_secret: "a stranger's" })))[0]?.problem, "AADSTS7000215")
      const { client_secret: _, ...secretless } = credentials({ storage_key: "a2V5" })
      assert.include((yield* check({}, secretless))[0]?.problem, "storage_key alone")
      assert.deepStrictEqual([blobs.blobs.size, arm.resources.size], [0, 0])
    }))
})

it.effect("what Azure cannot take is refused before it is converted", () =>
  Effect.gen(function*() {
    const target = azureTargetWith({ pauseMs: 1, pollMs: 1, workers: 1 })
    const of = (format: string, over: Partial<Azure> = {}, architecture: "x86_64" | "aarch64" = "x86_64") =>
      target.format({ artifact: { ...disk.artifact, format } satisfies Artifact, image: { architecture, type: "guest-image" }, target: targetOf(over) })
    const gallery = { name: "g", image: "i" }
    assert.strictEqual(yield* of("qcow2"), "raw")
    assert.strictEqual(yield* of("raw"), undefined)
    assert.strictEqual(yield* of("vhd"), undefined)
    assert.strictEqual(yield* of("vhd", { gallery }, "aarch64"), undefined)
    for (const wrong of [of("oci"), of("vhd", {}, "aarch64"), of("vhd", { gallery, generation: "V1" }, "aarch64")]) assert.isTrue(Exit.isFailure(yield* Effect.exit(wrong)))
  }))

