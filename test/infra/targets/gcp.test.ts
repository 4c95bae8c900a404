import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { readFileSync, statSync, writeFileSync } from "node:fs"
import { mkdtemp, open, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Exit, Fiber } from "effect"
import { afterAll, beforeAll } from "vitest"
import type { Artifact } from "../../../domain/artifact.ts"
import { ComposeId, Digest, JobId, TenantId } from "../../../domain/ids.ts"
import type { Progress } from "../../../domain/ports/image-builder.ts"
import type { Delivery } from "../../../domain/ports/image-targets.ts"
import { AttemptMeter, Meter } from "../../../domain/ports/meter.ts"
import type { TargetOf } from "../../../domain/target.ts"
import { convert } from "../../../infra/formats/convert.ts"
import { gcpTargetWith } from "../../../infra/targets/gcp/target.ts"
import { journalAt } from "../../../infra/targets/journals.ts"
import { isMarkedWhole } from "../../support/deliver.ts"
import { gcpStandIn } from "../../support/gcp-stand-in.ts"
import { needs } from "../../support/needs.ts"

const KiB = 1024
const quick = { pauseMs: 5, pollMs: 1, chunkSize: 256 * KiB }
const target = gcpTargetWith(quick)
const bucket = "example-images"
const deliveryId = "0198c0de-0-upload-1"
const marks = { deployment: "Example's", tenantId: TenantId.make("acme"), composeId: ComposeId.make("0198c0de-0000-7000-8000-000000000001"), jobId: JobId.make("0-upload-1") }

let dir = ""
let archive = ""
let size = 0
let sha256 = ""

/** A disk of whole MiB with holes, and its archive. */
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "kiln-gcp-"))
  const disk = await open(join(dir, "disk.raw"), "w")
  await disk.truncate(1500 * KiB * KiB)
  await disk.write(randomBytes(500 * KiB), 0, 500 * KiB, 0)
  await disk.write(randomBytes(100 * KiB), 0, 100 * KiB, 1400 * KiB * KiB)
  await disk.close()
  archive = join(dir, "disk.tar.gz")
  await Effect.runPromise(convert({ path: join(dir, "disk.raw"), format: "raw" }, { path: archive, format: "gcp" }))
  size = statSync(archive).size
  sha256 = createHash("sha256").update(readFileSync(archive)).digest("hex")
})
afterAll(() => rm(dir, { recursive: true, force: true }))

const artifact: Artifact = { digest: Digest.make(`sha256:${"0".repeat(64)}`), size: 1500 * KiB * KiB, format: "raw", filename: "disk.raw", mediaType: "application/octet-stream" }

const make = Effect.gen(function*() {
  const google = yield* gcpStandIn
  let journals = 0
  const said: Array<Progress> = []
  const report = { progress: (progress: Progress) => void said.push(progress), line: () => {} }
  const deliveryOf = (over: Partial<Delivery<TargetOf<"gcp">>> = {}): Delivery<TargetOf<"gcp">> => ({
    ...marks, deliveryId, distribution: "debian-13", image: { architecture: "x86_64", type: "guest-image" }, artifact,
    target: { type: "gcp", bucket }, credentials: google.credentials(), path: archive, size, sha256, ...over
  })
  const journalFile = (of: string = deliveryId) => join(google.dir, `journal-${journals}-${of}`)
  const deliver = (over: Partial<Delivery<TargetOf<"gcp">>> = {}) =>
    Effect.flatMap(journalAt(journalFile(over.deliveryId)), (journal) => target.deliver(deliveryOf(over), journal, report))
  /** As if the worker was killed when the cloud had done what it was asked, before it could say so. */
  const killedAt = Effect.fnUntraced(function*(call: number) {
    const reached = google.at(call)
    const fiber = yield* Effect.forkChild(deliver())
    yield* Effect.race(Effect.promise(() => reached), Effect.exit(Fiber.join(fiber)))
    yield* Fiber.interrupt(fiber)
    google.reset()
  })
  const loseJournal = Effect.sync(() => void journals++)
  const imageOf = (name = `kiln-${deliveryId}`) => google.gce.images.get(name)
  return { ...google, deliver, imageOf, journalFile, killedAt, loseJournal, said }
})

const isTheDisk = (path: string | undefined) =>
  assert.include(execFileSync("qemu-img", ["compare", "-f", "raw", "-F", "raw", join(dir, "disk.raw"), path!], { encoding: "utf8" }), "identical")

describe("an image delivered to Compute Engine", () => {
  needs("qemu-img", "pigz", "tar")

  it.live("is made of the bytes that were converted, marked, and leaves no archive behind", () =>
    Effect.gen(function*() {
      const { credentials, deliver, gcs, gce, imageOf, said } = yield* make
      const copy = yield* deliver({
        target: { type: "gcp", bucket, family: "kiln-example", description: "An example", location: "eu", labels: { team: "a" } }
      })
      yield* isMarkedWhole(target, { ...marks, target: { type: "gcp", bucket }, credentials: credentials() }, copy)
      const name = `kiln-${deliveryId}`
      assert.deepInclude(copy, { id: name, place: "example-project", format: "gcp", digest: Digest.make(`sha256:${sha256}`), bytesSent: size })
      assert.deepStrictEqual(copy.resources, [{ kind: "image", id: name, place: "example-project" }])
      isTheDisk(imageOf()?.disk)
      assert.deepInclude(imageOf()?.resource, { family: "kiln-example", description: "An example", architecture: "X86_64", storageLocations: ["eu"] })
      assert.deepInclude(imageOf()?.resource["labels"], { team: "a", "kiln-tenant": "acme", "kiln-compose": marks.composeId, "kiln-job": "0-upload-1" })
      assert.deepStrictEqual(imageOf()?.resource["guestOsFeatures"], [{ type: "UEFI_COMPATIBLE" }, { type: "VIRTIO_SCSI_MULTIQUEUE" }, { type: "GVNIC" }])
      assert.strictEqual(gcs.objects.size, 0)
      assert.strictEqual(gcs.bytesReceived(), size)
      assert.strictEqual(gce.inserts(), 1)
      assert.deepInclude(said.filter(({ stage }) => stage === "upload").at(-1), { bytesDone: size, bytesTotal: size })
    }))

  it.live("is one image and no object, wherever the worker was killed, with its journal and without", () =>
    Effect.gen(function*() {
      const whole = yield* make
      const meter = new Meter()
      yield* Effect.provideService(whole.deliver(), AttemptMeter, meter)
      const calls = whole.calls()
      assert.isAbove(calls, 10)
      assert.strictEqual(meter.spent?.cloudCalls, calls)
      for (const lost of [false, true]) {
        for (let call = 1; call <= calls; call++) {
          yield* Effect.scoped(Effect.gen(function*() {
            const google = yield* make
            yield* google.killedAt(call)
            if (lost) yield* google.loseJournal
            yield* google.deliver()
            const at = `killed at call ${call}, journal ${lost ? "lost" : "kept"}`
            assert.deepStrictEqual([google.gce.images.size, google.gce.inserts(), google.gcs.objects.size], [1, 1, 0], at)
            assert.strictEqual(google.imageOf()?.status, "READY", at)
            if (!lost) assert.strictEqual(google.gcs.bytesReceived(), size, at)
          }))
        }
      }
    }))

  it.live("is sent from where the last attempt stopped", () =>
    Effect.gen(function*() {
      const { deliver, gcs, imageOf, journalFile, killedAt } = yield* make
      // Image, quota, object, session, then chunks.
      yield* killedAt(7)
      const before = gcs.bytesReceived()
      assert.isAbove(before, 0)
      assert.isBelow(before, size)
      const copy = yield* deliver()
      assert.strictEqual(gcs.bytesReceived(), size)
      isTheDisk(imageOf()?.disk)
      assert.isAtMost(copy.bytesSent, size)
      assert.strictEqual((yield* Effect.promise(() => readFile(journalFile(), "utf8"))).includes("upload_id"), true)
      assert.strictEqual(statSync(journalFile()).mode & 0o777, 0o600)
    }))

  it.live("is sent anew where Google has forgotten the session, and waited for where its import is on its way", () =>
    Effect.gen(function*() {
      const { deliver, gce, gcs, imageOf, killedAt } = yield* make
      yield* killedAt(6)
      gcs.forgetSessions()
      yield* deliver()
      isTheDisk(imageOf()?.disk)
      assert.strictEqual(gce.inserts(), 1)
    }))

  it.live("survives lost connections, busy servers and answers that ask for patience", () =>
    Effect.gen(function*() {
      const { deliver, failWith, gcs, imageOf } = yield* make
      failWith(/^PUT \/upload/, 503, "backendError", "We encountered an internal error. Please try again.")
      failWith(/^PUT \/upload/, 429, "rateLimitExceeded", "The rate limit was exceeded.", { "retry-after": "0" })
      failWith(/^GET \/storage/, 502, "backendError", "Bad gateway")
      failWith(/^POST \/compute.*images$/, 503, "backendError", "Backend Error")
      yield* deliver()
      assert.strictEqual(gcs.bytesReceived(), size)
      isTheDisk(imageOf()?.disk)
    }))

  it.live("is refused where another checksum came out, and sent again by the next attempt", () =>
    Effect.gen(function*() {
      const { deliver, gcs, gce } = yield* make
      gcs.spoilChecksums(true)
      const failed = yield* Effect.flip(deliver())
      assert.deepInclude(failed, { class: "target-fault" })
      assert.include(failed.message, "checksum")
      assert.deepStrictEqual([gcs.objects.size, gce.images.size], [0, 0])
      gcs.spoilChecksums(false)
      yield* deliver()
      assert.strictEqual(gce.images.size, 1)
    }))

  it.live("is shared with those who are named, and with all who had been before", () =>
    Effect.gen(function*() {
      const { deliver, imageOf } = yield* make
      yield* deliver()
      const image = imageOf()!
      image.policy.bindings = [{ role: "roles/compute.imageUser", members: ["user:old@example.org"] }, { role: "roles/viewer", members: ["domain:example.org"] }]
      const shared = { target: { type: "gcp", bucket, share_with: ["user:new@example.org", "group:all@example.org"] } } as const
      yield* deliver(shared)
      yield* deliver(shared)
      assert.deepStrictEqual(image.policy.bindings.toSorted((a, b) => a.role.localeCompare(b.role)), [
        { role: "roles/compute.imageUser", members: ["user:old@example.org", "user:new@example.org", "group:all@example.org"] },
        { role: "roles/viewer", members: ["domain:example.org"] }
      ])
      const nobody = yield* Effect.flip(deliver({ target: { type: "gcp", bucket, share_with: ["user:nobody@example.org"] } }))
      assert.deepInclude(nobody, { class: "user" })
      assert.include(nobody.message, "user:nobody@example.org does not exist")
    }))

  it.live("is not taken for somebody else's of the same name", () =>
    Effect.gen(function*() {
      const { deliver, gce } = yield* make
      const named = { target: { type: "gcp", bucket, name: "golden" } } as const
      yield* deliver({ ...named, deliveryId: "another" })
      const failed = yield* Effect.flip(deliver(named))
      assert.deepInclude(failed, { class: "user" })
      assert.include(failed.message, "golden")
      assert.strictEqual(gce.images.size, 1)
    }))

  it.live("waits, with nothing sent, while its project has as many images as it may have", () =>
    Effect.gen(function*() {
      const { deliver, gce, gcs } = yield* make
      gce.setQuota(0)
      const full = yield* Effect.flip(deliver())
      assert.deepInclude(full, { class: "target-quota" })
      assert.include(full.message, "example-project has 0 images, and may have 0")
      assert.deepStrictEqual([gcs.bytesReceived(), gcs.objects.size, gcs.sessions.size, gce.images.size], [0, 0, 0, 0])
      gce.setQuota(1)
      yield* deliver()
      // What is there needs no room any more.
      yield* deliver()
      assert.deepStrictEqual([gcs.bytesReceived(), gce.images.size, gce.inserts()], [size, 1, 1])
    }))

  it.live("fails with Google's code and words, in the class that says whose turn it is", () =>
    Effect.gen(function*() {
      const { deliver, credentials, failWith, gce, gcs } = yield* make
      const why = (over: Parameters<typeof deliver>[0] = {}) => Effect.map(Effect.flip(deliver(over)), ({ class: whose, message }) => `${whose} ${message}`)
      assert.match(yield* why({ target: { type: "gcp", bucket: "nobodys" } }), /^user .*bucket does not exist/)
      assert.match(yield* why({ credentials: credentials("a-strangers") }), /^user .*invalid_grant/)
      assert.match(yield* why({ target: { type: "gcp", bucket, project: "nobodys-project" } }), /^user .*nobodys-project/)
      assert.match(yield* why({ target: { type: "gcp", bucket, guest_os_features: ["MADE_UP"] } }), /^user .*MADE_UP/)
      assert.match(yield* why({ credentials: undefined }), /^user .*needs credentials/)
      gce.failImportWith("INVALID_ARCHIVE", "The tar archive is not a valid image.")
      assert.match(yield* why(), /^target-fault .*INVALID_ARCHIVE: The tar archive is not a valid image/)
      gce.setQuota(0)
      // Who may not read the quota hears of it at the import.
      failWith(/^GET \/compute\/v1\/projects\/[^/]+$/, 403, "forbidden", "Required 'compute.projects.get' permission")
      assert.match(yield* why(), /^target-quota .*Quota 'IMAGES' exceeded/)
      gce.setQuota(1000)
      for (let time = 0; time < 7; time++) failWith(/^PUT \/upload/, 503, "backendError", "We encountered an internal error.")
      assert.match(yield* why({ deliveryId: "elsewhere" }), /^target-fault storage\.objects\.insert: .*internal error/)
      failWith(/^DELETE \/storage/, 403, "forbidden", "kiln does not have storage.objects.delete access.")
      assert.match(yield* why(), /^user storage\.objects\.delete: .*does not have storage\.objects\.delete access/)
      yield* deliver()
      assert.deepStrictEqual([gce.images.size, gce.inserts(), gcs.objects.size], [1, 2, 0])
    }))
})

describe("what is kept at Google", () => {
  needs("qemu-img", "pigz", "tar")

  it.live("is found by its marks, finished or not, page by page, and removed in any state", () =>
    Effect.gen(function*() {
      const { credentials, deliver, gce, gcs, killedAt } = yield* make
      const [where, who] = [{ type: "gcp", bucket } as const, credentials()]
      for (const each of ["one", "two", "three"]) yield* deliver({ deliveryId: each })
      yield* deliver({ deliveryId: "foreign", deployment: "another" })
      // The object is whole then, the import begun.
      yield* killedAt(10)
      const found = yield* target.marked(where, who, marks.deployment)
      assert.deepStrictEqual(found.map(({ resource }) => resource.id).toSorted(), [
        "kiln-one", "kiln-three", "kiln-two", `kiln-${deliveryId}`, `kiln-${deliveryId}.tar.gz`
      ].toSorted())
      assert.deepStrictEqual(found[0]!.marks, marks)
      assert.isAbove(found[0]!.madeAt!, 0)
      for (const again of [1, 2]) {
        yield* target.remove(where, found.map(({ resource }) => resource), who)
        assert.deepStrictEqual([[...gce.images.keys()], gcs.objects.size], [["kiln-foreign"], 0], String(again))
      }
    }))

  it.live("is checked before an image is wasted on it", () =>
    Effect.gen(function*() {
      const { credentials, gce, gcs } = yield* make
      const check = (over: Partial<TargetOf<"gcp">> = {}, who = credentials()) => target.check({ type: "gcp", bucket, ...over }, who)
      assert.deepStrictEqual(yield* check(), [])
      gcs.buckets.set("half", { granted: ["storage.objects.create", "storage.objects.get"] })
      assert.deepStrictEqual((yield* check({ bucket: "half" })).map(({ what }) => what), ["storage.objects.delete", "storage.objects.list"])
      assert.include((yield* check({ bucket: "nobodys" }))[0]?.problem, "does not exist")
      assert.include((yield* check({}, credentials("a-strangers")))[0]?.problem, "invalid_grant")
      gce.setQuota(0)
      assert.deepStrictEqual((yield* check()).map(({ what }) => what), ["compute.images.insert"])
      assert.deepStrictEqual([gcs.objects.size, gcs.sessions.size, gce.images.size], [0, 0, 0])
    }))

  it.live("is reached with no key that starts a program or leads elsewhere, and with the worker's own identity where a set says so", () =>
    Effect.gen(function*() {
      const { credentials, deliver } = yield* make
      const key = JSON.parse(credentials().key!) as Record<string, unknown>
      for (const wrong of [
        { ...key, credential_source: { executable: { command: "/bin/true" } } }, { ...key, token_url: "https://tokens.example.org/" }, { type: "authorized_user" }
      ]) {
        const failed = yield* Effect.flip(deliver({ credentials: { ...credentials(), key: JSON.stringify(wrong) } }))
        assert.deepInclude(failed, { class: "user" })
      }
      const { key: _, ...keyless } = credentials()
      const file = join(dir, "own-identity.json")
      writeFileSync(file, credentials().key!)
      yield* Effect.acquireRelease(
        Effect.sync(() => void (process.env["GOOGLE_APPLICATION_CREDENTIALS"] = file)),
        () => Effect.sync(() => void delete process.env["GOOGLE_APPLICATION_CREDENTIALS"])
      )
      assert.strictEqual((yield* deliver({ credentials: keyless })).place, "example-project")
      assert.deepInclude(yield* Effect.flip(deliver({ credentials: undefined })), { class: "user" })
    }))
})

it.effect("an artifact that is no disk is refused before it is converted, an archive for Google is taken as it is", () =>
  Effect.gen(function*() {
    const of = (format: string) => target.format({ artifact: { ...artifact, format }, image: { architecture: "x86_64", type: "guest-image" }, target: { type: "gcp", bucket } })
    assert.strictEqual(yield* of("qcow2"), "gcp")
    assert.strictEqual(yield* of("gcp"), undefined)
    assert.isTrue(Exit.isFailure(yield* Effect.exit(of("oci"))))
  }))

