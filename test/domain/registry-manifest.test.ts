import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { ComposeId, Digest, JobId, TenantId } from "../../domain/ids.ts"
import { annotationsOf, diskManifest, emptyDescriptor, emptyText, marksOf, referrerManifest, referrersTag, subjectOfTag } from "../../domain/registry-manifest.ts"

const digest = Digest.make(`sha256:${"a".repeat(64)}`)
const artifact = { digest, size: 5, format: "qcow2", filename: "disk.qcow2", mediaType: "application/x-qemu-disk; version=3" }
const marks = {
  deployment: "d1", tenantId: TenantId.make("acme"), composeId: ComposeId.make("01890000-0000-7000-8000-000000000001"), jobId: JobId.make("0-upload-1")
}

describe("what a registry is told of an image", () => {
  it("given a disk, then the one layer is its file, by its name, and the configuration is the empty one", () => {
    const manifest = diskManifest(artifact)
    assert.deepStrictEqual(manifest.layers, [{ mediaType: "application/x-qemu-disk", digest, size: 5, annotations: { "org.opencontainers.image.title": "disk.qcow2" } }])
    assert.deepStrictEqual([emptyDescriptor.digest, emptyDescriptor.size], [`sha256:${createHash("sha256").update(emptyText).digest("hex")}`, emptyText.length])
    assert.strictEqual(manifest.config, emptyDescriptor)
  })

  it("given something that is said of it, then that names it as its subject and has a type without parameters", () => {
    const said = referrerManifest({ artifactType: "application/vnd.cyclonedx+json; version=1.6", annotations: { a: "b" }, document: { name: "sbom", digest: "sha256:1", size: 2 } }, { mediaType: "m", digest, size: 7, annotations: { not: "taken" } })
    assert.deepStrictEqual([said.artifactType, said.subject, said.annotations], ["application/vnd.cyclonedx+json", { mediaType: "m", digest, size: 7 }, { a: "b" }])
  })

  it("given marks, then they come back, to their own deployment alone", () => {
    assert.deepStrictEqual(marksOf(annotationsOf(marks), "d1"), marks)
    assert.isUndefined(marksOf(annotationsOf(marks), "d2"))
    assert.isUndefined(marksOf({ ...annotationsOf(marks), "dev.kiln.job": "" }, "d1"))
    assert.isUndefined(marksOf(undefined, "d1"))
  })

  it("given the tag of a list, then it tells whose list it is", () => {
    assert.strictEqual(subjectOfTag(referrersTag(digest)), digest)
    assert.isUndefined(subjectOfTag("v1"))
    assert.isUndefined(subjectOfTag("sha256-abc"))
  })
})
