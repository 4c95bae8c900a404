/** A registry as a target: a container's image is pushed as it is, a disk as an artifact of one file. */
import { Effect } from "effect"
import type { CredentialsOf } from "../../../domain/credentials.ts"
import { Digest, Millis } from "../../../domain/ids.ts"
import type { CloudResource, ImageCopy } from "../../../domain/image-copy.ts"
import { BuildFailed } from "../../../domain/ports/image-builder.ts"
import type { Delivery, ImageTarget, Marked, Marks } from "../../../domain/ports/image-targets.ts"
import {
  annotationsOf, deliveryType, type Descriptor, diskManifest, emptyText, isContainer, manifestType, marksOf, subjectOfTag
} from "../../../domain/registry-manifest.ts"
import type { OciTarget, TargetOf } from "../../../domain/target.ts"
import { archivedImage, type ArchivedImage } from "./archive.ts"
import { obstaclesIn } from "./check.ts"
import { attach, detach, listReferrers } from "./referrers.ts"
import { deleteManifest, digestOf, getManifest, listTags, putBytes, putManifest } from "./registry.ts"
import { type Access, requests } from "./request.ts"
import { session, type Session } from "./session.ts"
import { bytesSent, uploadBlob } from "./upload.ts"

type Oci = TargetOf<"oci">
type OciDelivery = Delivery<Oci>

export const ociTarget = (access: Access & { readonly chunkBytes?: number }): ImageTarget<Oci> => {
  /** Connections end with what they were opened for. */
  const opened = <A>({ registry, repository }: typeof OciTarget.Type, given: OciDelivery["credentials"], use: (to: Session) => Effect.Effect<A, BuildFailed>) =>
    Effect.scoped(Effect.gen(function*() {
      const credentials = yield* ofRegistry(given)
      return yield* use(session(yield* requests(access), { host: registry, repository, credentials }))
    }))

  return {
    type: "oci",
    format: () => Effect.succeed(undefined),
    deliver: (delivery, journal, report) => opened(delivery.target, delivery.credentials, Effect.fnUntraced(function*(to) {
      const { target } = delivery
      const image = yield* imageOf(delivery)
      const total = image.blobs.reduce((sum, { length }) => sum + length, 0)
      let before = 0
      for (const blob of image.blobs) {
        yield* uploadBlob(to, blob, {
          journal, ...(access.chunkBytes !== undefined && { chunkBytes: access.chunkBytes }),
          onBytes: (bytes) => report.progress({ stage: "upload", percent: Math.floor((before + bytes) / total * 95), bytesDone: before + bytes, bytesTotal: total })
        })
        before += blob.length
      }
      // The configuration of all that is no container.
      yield* putBytes(to, Buffer.from(emptyText))
      const subject: Descriptor = { mediaType: image.mediaType, digest: digestOf(image.bytes), size: image.bytes.length }
      yield* putManifest(to, subject.digest, image)
      const referrers = yield* sayOf(to, delivery, subject)
      // Last: whoever pulls by a name gets all of it.
      const tag = target.tag ?? delivery.deliveryId
      yield* putManifest(to, tag, image)
      report.line(`pushed ${target.registry}/${target.repository}:${tag}, ${subject.digest}`)
      return copyOf(delivery, subject.digest, tag, referrers, image.blobs.reduce((sum, { digest }) => sum + bytesSent(journal, digest), 0))
    })),
    remove: (target, resources, credentials) => opened(target, credentials, (to) =>
      Effect.forEach(resources, ({ id, kind }) => kind === "referrer" ? detach(to, id) : removeImage(to, id), { discard: true })),
    check: (target, credentials) => opened(target, credentials, obstaclesIn),
    marked: (target, credentials, deployment) => opened(target, credentials, (to) => markedIn(to, target, deployment))
  }
}

const ofRegistry = (credentials: OciDelivery["credentials"]): Effect.Effect<CredentialsOf<"oci"> | undefined, BuildFailed> =>
  credentials === undefined || credentials.provider === "oci"
    ? Effect.succeed(credentials)
    : Effect.fail(new BuildFailed({ class: "user", message: `a registry takes credentials of oci, not of ${credentials.provider}` }))

const imageOf = ({ artifact, path, sha256, size }: OciDelivery): Effect.Effect<ArchivedImage, BuildFailed> => {
  if (isContainer(artifact)) return archivedImage(path)
  const bytes = Buffer.from(JSON.stringify(diskManifest(artifact)))
  return Effect.succeed({ mediaType: manifestType, bytes, blobs: [{ digest: `sha256:${sha256}`, path, start: 0, length: size }] })
}

/** Whose it is first, so that it can be found again; then what is known of it, signed. Answers with the digests. */
const sayOf = Effect.fnUntraced(function*(to: Session, delivery: OciDelivery, subject: Descriptor) {
  const marks = annotationsOf(delivery)
  const own = yield* attach(to, subject, { artifactType: deliveryType, annotations: marks })
  const said = delivery.attest === undefined ? [] : yield* delivery.attest(Digest.make(subject.digest))
  const documents = yield* Effect.forEach(said, ({ annotations, artifactType, bytes, name }) =>
    attach(to, subject, { artifactType, annotations: { ...annotations, ...marks }, document: { name, bytes: Buffer.from(bytes) } }))
  return [...documents, own]
})

const resourcesOf = (place: string, referrers: ReadonlyArray<string>, image: string): ReadonlyArray<CloudResource> => [
  ...referrers.map((id) => ({ kind: "referrer", id, place })), { kind: "manifest", id: image, place }
]

const placeOf = ({ registry, repository }: Oci) => `${registry}/${repository}`

const copyOf = ({ artifact, sha256, target }: OciDelivery, image: string, tag: string, referrers: ReadonlyArray<string>, bytesSent: number): ImageCopy => ({
  id: `${placeOf(target)}@${image}`, place: `${placeOf(target)}:${tag}`, format: isContainer(artifact) ? "oci" : artifact.format,
  ...(!isContainer(artifact) && { digest: Digest.make(`sha256:${sha256}`) }),
  resources: resourcesOf(placeOf(target), referrers, image), bytesSent, deliveredAt: Millis.make(Date.now())
})

const isDelivery = ({ artifactType }: Descriptor) => artifactType === deliveryType

/** The same container may have been delivered more than once: it goes with the last. Its blobs are the registry's to clear. */
const removeImage = Effect.fnUntraced(function*(to: Session, digest: string) {
  if ((yield* listReferrers(to, digest)).some(isDelivery)) return
  yield* deleteManifest(to, digest)
})

const atOnce = 8

/** By way of the tags, the only list that a registry has. */
const markedIn = Effect.fnUntraced(function*(to: Session, target: Oci, deployment: string) {
  const tags = yield* listTags(to)
  const tagged = yield* Effect.forEach(tags, (tag) => {
    const subject = subjectOfTag(tag)
    return subject === undefined ? Effect.map(getManifest(to, tag), (found) => found?.digest) : Effect.succeed(subject)
  }, { concurrency: atOnce })
  const images = [...new Set(tagged.filter((digest) => digest !== undefined))]
  const found = yield* Effect.forEach(images, (image) => Effect.map(listReferrers(to, image), (said) => markedOf(placeOf(target), image, said, deployment)), { concurrency: atOnce })
  return found.flat()
})

/** Delivery by delivery, in the order in which it goes. */
const markedOf = (place: string, image: string, said: ReadonlyArray<Descriptor>, deployment: string): ReadonlyArray<Marked> => {
  const deliveries = new Map<string, { readonly marks: Marks; readonly own: Array<string>; readonly rest: Array<string> }>()
  for (const each of said) {
    const marks = marksOf(each.annotations, deployment)
    if (marks === undefined) continue
    const key = `${marks.tenantId}/${marks.composeId}/${marks.jobId}`
    const delivery = deliveries.get(key) ?? { marks, own: [], rest: [] }
    deliveries.set(key, delivery)
    ;(isDelivery(each) ? delivery.own : delivery.rest).push(each.digest)
  }
  return [...deliveries.values()].flatMap(({ marks, own, rest }) =>
    resourcesOf(place, [...rest, ...own], image).map((resource) => ({ resource, marks, madeAt: undefined })))
}
