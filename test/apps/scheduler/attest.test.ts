/** An image that is pushed to a registry, with what is said of it. */
import { createHash, createPublicKey, verify } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { v7 } from "uuid"
import { execute } from "../../../apps/execute.ts"
import { documentsFor } from "../../../apps/scheduler/attest.ts"
import { RequestCompose, StartJob, SucceedJob } from "../../../domain/compose-commands.ts"
import { preAuthenticationEncoding } from "../../../domain/evidence/dsse.ts"
import { payloadType } from "../../../domain/evidence/provenance.ts"
import { AttemptToken, ComposeId, Digest, JobId, Millis, PoolScope, type TenantId, WorkerId } from "../../../domain/ids.ts"
import { Built } from "../../../domain/job.ts"
import { Attester } from "../../../domain/ports/attester.ts"
import { Blobs } from "../../../domain/ports/blobs.ts"
import { diskManifest, referrersTag } from "../../../domain/registry-manifest.ts"
import { ociTarget } from "../../../infra/targets/oci/target.ts"
import { dockerRegistry, registryImpossible } from "../../support/docker-registry.ts"
import { skipWhere } from "../../support/needs.ts"
import { Folder, newTenant, SmallStack, startScheduler, startWorker, stateOf, until } from "../../support/small-stack.ts"

const [build, upload] = [JobId.make("0-build"), JobId.make("0-upload-0")]
const intent = (tenantId: TenantId, messageId: string) => ({ tenantId, messageId, at: Millis.make(Date.now()), actor: { kind: "requester" as const, id: "test" } })
const sha256 = (bytes: Uint8Array | string) => Digest.make(`sha256:${createHash("sha256").update(bytes).digest("hex")}`)

const requested = Effect.fnUntraced(function*(tenantId: TenantId, registry: string) {
  const composeId = ComposeId.make(v7())
  yield* execute(intent(tenantId, `request-${composeId}`), RequestCompose.make({
    composeId, builder: "simulated", resolves: false,
    request: {
      distribution: "test-distro-1",
      images: [{ architecture: "x86_64", type: "simulated", options: { bytes: 5000 }, targets: [{ type: "oci", registry, repository: "acme/disk", tag: "v1", credentials: "registry" }] }]
    }
  }))
  return composeId
})

interface Bundle {
  readonly verificationMaterial: { readonly publicKey: { readonly hint: string } }
  readonly dsseEnvelope: { readonly payload: string; readonly signatures: ReadonlyArray<{ readonly sig: string }> }
}

const statementIn = (bytes: Uint8Array, { key }: Attester["Service"]) => {
  const { dsseEnvelope: { payload, signatures }, verificationMaterial } = JSON.parse(Buffer.from(bytes).toString()) as Bundle
  const signed = Buffer.from(payload, "base64")
  assert.strictEqual(verificationMaterial.publicKey.hint, key.keyId)
  assert.isTrue(verify(null, preAuthenticationEncoding(payloadType, signed), createPublicKey(key.pem), Buffer.from(signatures[0]!.sig, "base64")))
  return JSON.parse(signed.toString()) as { readonly subject: ReadonlyArray<{ readonly name: string; readonly digest: { readonly sha256: string } }> }
}

layer(SmallStack, { excludeTestServices: true })("what goes with an image", (it) => {
  it.effect("given the worker that pushes it, then it gets the bills of materials as they are stored, and provenance that is signed for the manifest", () =>
    Effect.gen(function*() {
      const [tenantId, blobs] = [newTenant(), yield* Blobs]
      const [worker, token] = [WorkerId.make("w1"), AttemptToken.make("t".repeat(30))]
      const speaker = { scope: PoolScope.make("default"), worker }
      const composeId = yield* requested(tenantId, "registry.example.org")
      const artifact = { digest: sha256("a disk"), size: 6, format: "raw", filename: "disk.raw", mediaType: "application/octet-stream" }
      const [spdx, cyclonedx] = [yield* blobs.put(Buffer.from("{\"spdx\":1}")), yield* blobs.put(Buffer.from("{\"cyclonedx\":1}"))]
      const tell = (messageId: string, command: Parameters<typeof execute>[1]) => execute(intent(tenantId, `${messageId}-${composeId}`), command)
      yield* tell("a", StartJob.make({ composeId, jobId: build, attempt: 1, worker, token }))
      yield* tell("b", SucceedJob.make({
        composeId, jobId: build, attempt: 1, token,
        outcome: Built.make({ manifest: sha256("its manifest"), artifact, heldBy: worker, reused: false, evidence: { spdx, cyclonedx } })
      }))
      const claim = { tenantId, composeId, jobId: upload, attempt: 1, token }
      const manifest = sha256(JSON.stringify(diskManifest(artifact)))
      const ask = (who = speaker, how = claim, what = manifest) => documentsFor(who, how, what, "urn:test")
      assert.isUndefined(yield* ask(), "before it has begun")
      yield* tell("c", StartJob.make({ composeId, jobId: upload, attempt: 1, worker, token }))
      const [first, second, third] = (yield* ask())!
      assert.deepInclude(first, { name: "sbom.spdx.json", artifactType: "application/spdx+json" })
      assert.strictEqual(sha256(first!.bytes), spdx.digest)
      assert.strictEqual(sha256(second!.bytes), cyclonedx.digest)
      const { subject } = statementIn(third!.bytes, yield* Attester)
      assert.deepStrictEqual(subject.map(({ digest }) => `sha256:${digest.sha256}`), [manifest, artifact.digest])
      assert.strictEqual(subject[0]!.name, "registry.example.org/acme/disk")
      assert.isUndefined(yield* ask({ ...speaker, worker: WorkerId.make("w2") }), "of another worker")
      assert.isUndefined(yield* ask(speaker, { ...claim, token: AttemptToken.make("u".repeat(30)) }), "of another attempt")
      assert.isUndefined(yield* ask(speaker, { ...claim, jobId: build }), "of a job that pushes nothing")
      assert.isUndefined(yield* ask(speaker, claim, sha256("another manifest")), "of another manifest")
    }))

  describe("on its whole way", () => {
    const impossible = registryImpossible()
    skipWhere(impossible !== undefined, impossible ?? "")

    it.effect("given a target that is a registry, then the image is there with provenance that anybody can verify", () =>
      Effect.gen(function*() {
        const { host } = yield* dockerRegistry()
        const credentialsFile = join((yield* Folder).dir, "credentials.json")
        writeFileSync(credentialsFile, JSON.stringify({ registry: { provider: "oci", plain_http: true } }), { mode: 0o600 })
        yield* startScheduler()
        yield* startWorker("w7", { credentialsFile, targets: [ociTarget({ privateHosts: true })] })
        const tenantId = newTenant()
        const composeId = yield* requested(tenantId, host)
        const { outcomes, status } = yield* until(stateOf(tenantId, composeId), (state) => state.status !== "open")
        assert.strictEqual(status, "succeeded")
        const uploaded = outcomes.get(upload)
        const copy = uploaded?._tag === "Uploaded" ? uploaded.copy : undefined
        assert.strictEqual(copy?.place, `${host}/acme/disk:v1`)
        const image = copy!.id.slice(copy!.id.indexOf("@") + 1)
        const get = (path: string) => Effect.promise(async () =>
          Buffer.from(await (await fetch(`http://${host}/v2/acme/disk/${path}`, { headers: { accept: "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json" } })).arrayBuffer()))
        assert.strictEqual(sha256(yield* get("manifests/v1")), image)
        const index = JSON.parse(String(yield* get(`manifests/${referrersTag(image)}`))) as { readonly manifests: ReadonlyArray<{ readonly digest: string; readonly artifactType: string }> }
        const signed = index.manifests.find(({ artifactType }) => artifactType.includes("sigstore"))
        const { layers } = JSON.parse(String(yield* get(`manifests/${signed!.digest}`))) as { readonly layers: ReadonlyArray<{ readonly digest: string }> }
        const { subject } = statementIn(yield* get(`blobs/${layers[0]!.digest}`), yield* Attester)
        assert.strictEqual(`sha256:${subject[0]!.digest.sha256}`, image)
      }))
  })
})
