import { createHash } from "node:crypto"
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Fiber, Layer } from "effect"
import { v7 } from "uuid"
import type { CredentialsOf } from "../../../domain/credentials.ts"
import type { ImageCopy } from "../../../domain/image-copy.ts"
import type { Delivery, ImageDocument } from "../../../domain/ports/image-targets.ts"
import { AttemptMeter, Meter } from "../../../domain/ports/meter.ts"
import { deliveryType, diskManifest, referrersTag } from "../../../domain/registry-manifest.ts"
import type { TargetOf } from "../../../domain/target.ts"
import { ociTarget } from "../../../infra/targets/oci/target.ts"
import { deliver, deliveryOf, deployment, newJournal, type Said } from "../../support/deliver.ts"
import { dockerRegistry, registryImpossible, type RunningRegistry } from "../../support/docker-registry.ts"
import { needs, skipWhere } from "../../support/needs.ts"
import { type Front, registryFront } from "../../support/registry-front.ts"

const folder = mkdtempSync(join(tmpdir(), "kiln-oci-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const impossible = registryImpossible()
const chunkBytes = 64 * 1024
const oci = ociTarget({ privateHosts: true, chunkBytes })
const plain: CredentialsOf<"oci"> = { provider: "oci", plain_http: true }
type Oci = TargetOf<"oci">

const sha256 = (bytes: Uint8Array) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`
/** The same every time, and nowhere the same within. */
const noise = (length: number, seed: string) =>
  Buffer.concat(Array.from({ length: Math.ceil(length / 32) }, (_, at) => createHash("sha256").update(`${seed}${at}`).digest())).subarray(0, length)
const disk = (name: string, length = 5 * chunkBytes - 7) => {
  const path = join(folder, name)
  writeFileSync(path, noise(length, name))
  return path
}

const container = () => {
  const dir = mkdtempSync(join(folder, "container-"))
  mkdirSync(join(dir, "root"))
  writeFileSync(join(dir, "root/greeting"), noise(3 * chunkBytes, dir))
  execFileSync("tar", ["-cf", join(dir, "layer.tar"), "-C", join(dir, "root"), "greeting"])
  const path = join(dir, "image.oci.tar")
  execFileSync("bash", [join(import.meta.dirname, "../../../infra/formats/oci-archive.sh"), join(dir, "layer.tar"), "amd64", path], { env: { ...process.env, SOURCE_DATE_EPOCH: "1700000000" } })
  const index = JSON.parse(execFileSync("tar", ["-xOf", path, "index.json"], { encoding: "utf8" })) as { readonly manifests: ReadonlyArray<{ readonly digest: string }> }
  return { path, digest: index.manifests[0]!.digest }
}
const asContainer = async (given: Awaited<ReturnType<typeof deliveryOf<Oci>>>): Promise<Delivery<Oci>> =>
  ({ ...given, artifact: { ...given.artifact, format: "oci", filename: "image.oci.tar", mediaType: "application/x-tar" } })

const targetAt = (host: string, repository: string, tag?: string): Oci => ({ type: "oci", registry: host, repository, ...(tag !== undefined && { tag }) })
const given = (host: string, repository: string, path: string, more: Partial<Delivery<Oci>> = {}, tag?: string) =>
  Effect.promise(() => deliveryOf<Oci>({ target: targetAt(host, repository, tag), credentials: plain, path, delivery: more }))

const documents: ReadonlyArray<ImageDocument> = [
  { name: "sbom.spdx.json", artifactType: "application/spdx+json", annotations: {}, bytes: Buffer.from("{\"spdx\":1}") },
  { name: "provenance.sigstore.json", artifactType: "application/vnd.dev.sigstore.bundle.v0.3+json", annotations: { "dev.sigstore.bundle.content": "dsse-envelope" }, bytes: Buffer.from("{\"signed\":1}") }
]
const attest = () => Effect.succeed(documents)

/** What anybody can see of the repository. */
const get = (host: string, path: string) => Effect.promise(async () => {
  const answer = await fetch(`http://${host}/v2/${path}`, { headers: { accept: "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json" } })
  return { status: answer.status, bytes: Buffer.from(await answer.arrayBuffer()) }
})
const json = <A>(host: string, path: string) => Effect.map(get(host, path), ({ bytes, status }) => status === 200 ? JSON.parse(bytes.toString()) as A : undefined)
interface Index {
  readonly manifests: ReadonlyArray<{ readonly digest: string; readonly artifactType: string; readonly annotations: Record<string, string> }>
}
const said = (host: string, repository: string, image: string) => Effect.map(json<Index>(host, `${repository}/manifests/${referrersTag(image)}`), (index) => index?.manifests ?? [])
const tags = (host: string, repository: string) => Effect.map(json<{ readonly tags: ReadonlyArray<string> | null }>(host, `${repository}/tags/list`), (list) => (list?.tags ?? []).toSorted())
const imageOf = ({ id }: ImageCopy) => id.slice(id.indexOf("@") + 1)

/** A layer without a name is built where a test needs it, so not for skipped ones; after the last try that it has counted it is gone. */
const once = { retry: 0 }
class Registry extends Context.Service<Registry, RunningRegistry>()("test/Registry") {
  static readonly layer = Layer.effect(Registry, dockerRegistry())
}

describe("a registry as a target", once, () => {
  skipWhere(impossible !== undefined, impossible ?? "")
  layer(Registry.layer, { excludeTestServices: true })((it) => {
    it.effect("given a disk, then it is an artifact of one file whose manifest follows from the artifact, with what is said of it attached", () =>
      Effect.gen(function*() {
        const { host } = yield* Registry
        const delivery = yield* given(host, "team/disk", disk("whole.raw"), { attest }, "v1")
        const heard: Said = { progress: [], lines: [] }
        const copy = yield* deliver(oci, delivery, newJournal(folder), heard)
        const image = sha256(Buffer.from(JSON.stringify(diskManifest(delivery.artifact))))
        assert.deepInclude(copy, { id: `${host}/team/disk@${image}`, place: `${host}/team/disk:v1`, format: "raw", digest: delivery.artifact.digest, bytesSent: delivery.size })
        assert.deepStrictEqual(yield* tags(host, "team/disk"), [referrersTag(image), "v1"].toSorted())
        const { bytes } = yield* get(host, `team/disk/blobs/${delivery.artifact.digest}`)
        assert.isTrue(bytes.equals(readFileSync(delivery.path)))
        const attached = yield* said(host, "team/disk", image)
        assert.deepStrictEqual(attached.map(({ artifactType }) => artifactType), [deliveryType, ...documents.map(({ artifactType }) => artifactType)])
        assert.strictEqual(attached[2]!.annotations["dev.sigstore.bundle.content"], "dsse-envelope")
        for (const [at, { bytes: expected }] of documents.entries()) {
          const referrer = yield* json<{ readonly subject: { readonly digest: string }; readonly layers: ReadonlyArray<{ readonly digest: string }> }>(host, `team/disk/manifests/${attached[at + 1]!.digest}`)
          assert.strictEqual(referrer!.subject.digest, image)
          const document = yield* get(host, `team/disk/blobs/${referrer!.layers[0]!.digest}`)
          assert.isTrue(document.bytes.equals(expected))
        }
        assert.deepInclude(heard.progress.at(-1), { bytesDone: delivery.size, bytesTotal: delivery.size })
      }))

    it.effect("given a container, then its manifest has the digest that it has in its archive, and a tag of its own", () =>
      Effect.gen(function*() {
        const { host } = yield* Registry
        const { digest, path } = container()
        const delivery = yield* Effect.flatMap(given(host, "team/container", path), (each) => Effect.promise(() => asContainer(each)))
        const copy = yield* deliver(oci, delivery, newJournal(folder))
        assert.strictEqual(copy.id, `${host}/team/container@${digest}`)
        assert.include(yield* tags(host, "team/container"), delivery.deliveryId)
      }))

    it.effect("given what is there already, then nothing of it is sent again, and nothing is there twice", () =>
      Effect.gen(function*() {
        const registry = yield* Registry
        const front = yield* registryFront(registry)
        const delivery = yield* given(front.host, "team/again", disk("again.raw"), { attest })
        const meter = new Meter()
        const first = yield* Effect.provideService(deliver(oci, delivery, newJournal(folder)), AttemptMeter, meter)
        assert.strictEqual(meter.spent?.cloudCalls, front.passed.length)
        front.reset()
        const { deliveredAt: _, ...second } = yield* deliver(oci, delivery, newJournal(folder))
        const { deliveredAt: __, ...expected } = { ...first, bytesSent: 0 }
        assert.deepStrictEqual(second, expected)
        assert.strictEqual(front.bytesBy("PATCH"), 0)
        assert.lengthOf(yield* said(front.host, "team/again", imageOf(first)), 3)
      }))
  })
})

describe("a delivery to a registry that is killed", once, () => {
  skipWhere(impossible !== undefined, impossible ?? "")
  layer(Registry.layer, { excludeTestServices: true })((it) => {
    const requestsOf = Effect.fnUntraced(function*(front: Front, make: Effect.Effect<Delivery<Oci>>) {
      yield* deliver(oci, yield* make, newJournal(folder))
      const { length } = front.passed
      front.reset()
      return length
    })

    for (const journal of ["the same journal", "a lost journal"] as const) {
      it.effect(`given it died at any of its requests, when it is tried again with ${journal}, then there is one image and nothing more`, () =>
        Effect.gen(function*() {
          const registry = yield* Registry
          const path = disk("killed.raw", 3 * chunkBytes - 7)
          const prefix = `killed-${v7()}`
          const one = { attest: () => Effect.succeed(documents.slice(1)) }
          const whole = yield* registryFront(registry, { keeps: true })
          const count = yield* requestsOf(whole, given(whole.host, `${prefix}/whole`, path, one, "v1"))
          assert.isAbove(count, 15)
          yield* Effect.forEach(Array.from({ length: count }, (_, at) => at + 1), Effect.fnUntraced(function*(request) {
            const front = yield* registryFront(registry, { keeps: true })
            const repository = `${prefix}/at-${request}`
            const delivery = yield* given(front.host, repository, path, one, "v1")
            const at = newJournal(folder)
            const stopped = front.stopAt(request)
            const dying = yield* Effect.forkChild(deliver(oci, delivery, at), { startImmediately: true })
            yield* Effect.promise(() => stopped)
            yield* Fiber.interrupt(dying)
            const sent = front.bytesBy("PATCH")
            front.reset()
            const copy = yield* deliver(oci, delivery, journal === "the same journal" ? at : newJournal(folder))
            assert.deepStrictEqual(yield* tags(front.host, repository), [referrersTag(imageOf(copy)), "v1"].toSorted(), `request ${request}`)
            assert.lengthOf(yield* said(front.host, repository, imageOf(copy)), 2, `request ${request}`)
            // An answer that was not heard costs nothing: the registry is asked how far it is.
            if (journal === "the same journal" && request > 3) assert.strictEqual(sent + front.bytesBy("PATCH"), delivery.size, `request ${request}`)
          }, Effect.scoped), { discard: true, concurrency: 4 })
        }))
    }

    it.effect("given it was cut off amid a piece, when the registry keeps what it has, then only the rest is sent", () =>
      Effect.gen(function*() {
        const front = yield* registryFront(yield* Registry, { keeps: true })
        const delivery = yield* given(front.host, "cut/kept", disk("cut.raw"))
        const at = newJournal(folder)
        const cut = front.cutAt(2 * chunkBytes + 1000)
        const dying = yield* Effect.forkChild(deliver(oci, delivery, at), { startImmediately: true })
        yield* Effect.promise(() => cut)
        yield* Fiber.interrupt(dying)
        front.reset()
        yield* deliver(oci, delivery, at)
        assert.strictEqual(front.bytesBy("PATCH"), delivery.size - 2 * chunkBytes - 1000)
      }))

    it.effect("given it was cut off amid a piece, when the registry forgets the upload, then it begins anew and is right", () =>
      Effect.gen(function*() {
        const front = yield* registryFront(yield* Registry)
        const delivery = yield* given(front.host, "cut/forgotten", disk("cut.raw"))
        const at = newJournal(folder)
        const cut = front.cutAt(chunkBytes + 1000)
        const dying = yield* Effect.forkChild(deliver(oci, delivery, at), { startImmediately: true })
        yield* Effect.promise(() => cut)
        yield* Fiber.interrupt(dying)
        front.reset()
        const copy = yield* deliver(oci, delivery, at)
        const { bytes } = yield* get(front.host, `cut/forgotten/blobs/${copy.digest}`)
        assert.isTrue(bytes.equals(readFileSync(delivery.path)))
      }))

    it.effect("given it ended before its tag was set, then what carries its marks is found and can be removed", () =>
      Effect.gen(function*() {
        const front = yield* registryFront(yield* Registry)
        const make = (repository: string) => given(front.host, repository, disk("left.raw"), { attest }, "v1")
        const count = yield* requestsOf(front, make("left/whole"))
        const delivery = yield* make("left/half")
        const stopped = front.stopAt(count - 1)
        const dying = yield* Effect.forkChild(deliver(oci, delivery, newJournal(folder)), { startImmediately: true })
        yield* Effect.promise(() => stopped)
        yield* Fiber.interrupt(dying)
        front.reset()
        assert.notInclude(yield* tags(front.host, "left/half"), "v1")
        const found = yield* oci.marked(delivery.target, plain, deployment)
        assert.isNotEmpty(found)
        assert.deepInclude(found[0]!.marks, { composeId: delivery.composeId, jobId: delivery.jobId, tenantId: delivery.tenantId })
        yield* oci.remove(delivery.target, found.map(({ resource }) => resource), plain)
        assert.deepStrictEqual(yield* oci.marked(delivery.target, plain, deployment), [])
        assert.deepStrictEqual(yield* tags(front.host, "left/half"), [])
      }))
  })
})

describe("what was pushed to a registry", once, () => {
  skipWhere(impossible !== undefined, impossible ?? "")
  layer(Registry.layer, { excludeTestServices: true })((it) => {
    it.effect("when it is removed, then its manifest, its tag and what was said of it are gone, and removing it again is no error", () =>
      Effect.gen(function*() {
        const { host } = yield* Registry
        const delivery = yield* given(host, "gone/disk", disk("gone.raw"), { attest }, "v1")
        const copy = yield* deliver(oci, delivery, newJournal(folder))
        const remove = oci.remove(delivery.target, copy.resources, plain)
        yield* Effect.andThen(remove, remove)
        assert.deepStrictEqual(yield* tags(host, "gone/disk"), [])
        for (const { id } of copy.resources) assert.strictEqual((yield* get(host, `gone/disk/manifests/${id}`)).status, 404)
      }))

    it.effect("given a container that two composes pushed, when one of them is removed, then the other's is there still", () =>
      Effect.gen(function*() {
        const { host } = yield* Registry
        const { digest, path } = container()
        const push = Effect.fnUntraced(function*(tag: string) {
          const delivery = yield* Effect.flatMap(given(host, "shared/container", path, { attest }, tag), (each) => Effect.promise(() => asContainer(each)))
          return yield* deliver(oci, delivery, newJournal(folder))
        })
        const [first, second] = [yield* push("one"), yield* push("two")]
        yield* oci.remove(targetAt(host, "shared/container"), first.resources, plain)
        assert.include(yield* tags(host, "shared/container"), "two")
        assert.lengthOf(yield* oci.marked(targetAt(host, "shared/container"), plain, deployment), second.resources.length)
        assert.deepStrictEqual(yield* oci.marked(targetAt(host, "shared/container"), plain, "another-deployment"), [])
        yield* oci.remove(targetAt(host, "shared/container"), second.resources, plain)
        assert.strictEqual((yield* get(host, `shared/container/manifests/${digest}`)).status, 404)
      }))

    it.effect("given a registry that lists what is said of a manifest itself, then no tag is made for that, and it is found and removed", () =>
      Effect.gen(function*() {
        const front = yield* registryFront(yield* Registry, { referrers: true })
        const delivery = yield* given(front.host, "listed/disk", disk("listed.raw"), { attest }, "v1")
        const copy = yield* deliver(oci, delivery, newJournal(folder))
        assert.deepStrictEqual(yield* tags(front.host, "listed/disk"), ["v1"])
        const found = yield* oci.marked(delivery.target, plain, deployment)
        assert.deepStrictEqual(new Set(found.map(({ resource }) => resource.id)), new Set(copy.resources.map(({ id }) => id)))
        yield* oci.remove(delivery.target, copy.resources, plain)
        assert.deepStrictEqual(yield* tags(front.host, "listed/disk"), [])
      }))
  })
})

describe("what was pushed to a registry, seen by another client", once, () => {
  skipWhere(impossible !== undefined, impossible ?? "")
  needs("skopeo")
  const skopeo = (...args: ReadonlyArray<string>) => execFileSync("skopeo", args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] })
  layer(Registry.layer, { excludeTestServices: true })((it) => {
    it.effect("given a container, then skopeo copies it with the digest and the bytes of its archive", () =>
      Effect.gen(function*() {
        const { host } = yield* Registry
        const { digest, path } = container()
        const delivery = yield* Effect.flatMap(given(host, "other/container", path, {}, "v1"), (each) => Effect.promise(() => asContainer(each)))
        yield* deliver(oci, delivery, newJournal(folder))
        assert.strictEqual(skopeo("inspect", "--tls-verify=false", "--format", "{{.Digest}}", `docker://${host}/other/container:v1`).trim(), digest)
        const copied = join(folder, "copied")
        skopeo("--insecure-policy", "copy", "--quiet", "--src-tls-verify=false", "--preserve-digests", `docker://${host}/other/container:v1`, `dir:${copied}`)
        assert.strictEqual(sha256(readFileSync(join(copied, "manifest.json"))), digest)
      }))

    it.effect("given a disk, then skopeo copies its file as it was", () =>
      Effect.gen(function*() {
        const { host } = yield* Registry
        const delivery = yield* given(host, "other/disk", disk("other.raw"), {}, "v1")
        yield* deliver(oci, delivery, newJournal(folder))
        const copied = join(folder, "copied-disk")
        skopeo("--insecure-policy", "copy", "--quiet", "--src-tls-verify=false", "--preserve-digests", `docker://${host}/other/disk:v1`, `dir:${copied}`)
        assert.strictEqual(sha256(readFileSync(join(copied, delivery.sha256))), `sha256:${delivery.sha256}`)
      }))
  })
})
