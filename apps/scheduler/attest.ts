/** Gives the worker that pushes an image to a registry what goes with it: bills of materials, and provenance that names the manifest. */
import { createHash } from "node:crypto"
import { Effect } from "effect"
import type { Blob, Evidence } from "../../domain/artifact.ts"
import { cyclonedxMediaType } from "../../domain/evidence/cyclonedx.ts"
import { outcomesOf, predicateType } from "../../domain/evidence/provenance.ts"
import { spdxMediaType } from "../../domain/evidence/spdx.ts"
import type { Digest } from "../../domain/ids.ts"
import { targetsOf } from "../../domain/job.ts"
import { Blobs } from "../../domain/ports/blobs.ts"
import type { ImageDocument } from "../../domain/ports/image-targets.ts"
import { diskManifest, isContainer } from "../../domain/registry-manifest.ts"
import type { Claim, Speaker } from "../../domain/work.ts"
import { readCompose } from "../read-compose.ts"
import { signedProvenance, sigstoreBundle, sigstoreBundleType } from "../signed-provenance.ts"
import { holds } from "./secrets.ts"

/**
 * `undefined` refuses: the attempt is not running, runs elsewhere or pushes nowhere, or the manifest is not that of the
 * image. A disk's follows from the log; for a container's there is the word of its worker, as there is for the image.
 */
export const documentsFor = Effect.fn("documentsFor")(function*(speaker: Speaker, claim: Claim, manifest: Digest, builderId: string) {
  const { compose, recorded } = yield* readCompose(claim.tenantId, claim.composeId)
  const job = compose.jobs.get(claim.jobId)
  if (job?.target === undefined || !holds(speaker, claim, compose, job)) return undefined
  const asked = compose.request?.images[job.image]
  const target = asked && targetsOf(asked)[job.target]
  const built = outcomesOf(recorded, job.image)?.built
  if (target?.type !== "oci" || built === undefined) return undefined
  if (!isContainer(built.artifact) && sha256(JSON.stringify(diskManifest(built.artifact))) !== manifest) return undefined
  const name = `${target.registry}/${target.repository}`
  const envelope = yield* signedProvenance(recorded, job.image, builderId, { name, digest: { sha256: manifest.replace("sha256:", "") } })
  const provenance: ReadonlyArray<ImageDocument> = envelope === undefined ? [] : [{
    name: "provenance.sigstore.json", artifactType: sigstoreBundleType, bytes: textOf(sigstoreBundle(envelope)),
    annotations: { "dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": predicateType }
  }]
  return [...yield* bills(built.evidence), ...provenance]
}, Effect.catch((error) => Effect.as(Effect.logWarning("what goes with an image was refused", { reason: error._tag }), undefined)))

const bills = Effect.fnUntraced(function*({ cyclonedx, spdx }: Evidence = {}) {
  return [
    ...yield* bill("sbom.spdx.json", spdxMediaType, spdx),
    ...yield* bill("sbom.cdx.json", cyclonedxMediaType, cyclonedx)
  ]
})

/** What is no longer kept is left out. */
const bill = Effect.fnUntraced(function*(name: string, artifactType: string, blob: Blob | undefined) {
  const bytes = blob && (yield* (yield* Blobs).get(blob.digest))
  return bytes === undefined ? [] : [{ name, artifactType, annotations: {}, bytes } satisfies ImageDocument]
})

const sha256 = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex")}`
const textOf = (document: object) => new TextEncoder().encode(`${JSON.stringify(document, undefined, 1)}\n`)
