/** What is made of the blob: a managed image, or a version of an image in a gallery. Both are known by their names, and put again without harm. */
import { Effect } from "effect"
import { BuildFailed } from "../../../domain/ports/image-builder.ts"
import type { CloudResource } from "../../../domain/image-copy.ts"
import type { Delivery } from "../../../domain/ports/image-targets.ts"
import type { TargetOf } from "../../../domain/target.ts"
import { CallFailed, orAbsent } from "../call-failed.ts"
import type { Clients } from "./clients.ts"
import { generationOf, imageName, isOf, providerPath, storageAccountId, tagsOf, versionName } from "./names.ts"

type Azure = TargetOf<"azure">
type AzureDelivery = Delivery<Azure>
type Gallery = NonNullable<Azure["gallery"]>

interface Shown {
  readonly tags?: Record<string, string>
  readonly provisioningState?: string
}

/** One way to keep an image. */
export interface Kept {
  readonly resource: CloudResource
  readonly find: Effect.Effect<Shown | undefined, CallFailed>
  readonly remove: Effect.Effect<void, CallFailed>
  readonly put: (blobUri: string) => Effect.Effect<void, BuildFailed | CallFailed>
}

export const kept = (azure: Clients, delivery: AzureDelivery): Kept => {
  const { gallery } = delivery.target
  return gallery === undefined ? managed(azure, delivery) : versioned(azure, delivery, gallery)
}

const managed = ({ call, compute: { images }, tuning }: Clients, delivery: AzureDelivery): Kept => {
  const { deliveryId, target } = delivery
  const { location, resource_group } = target
  const name = imageName(delivery)
  return {
    resource: { kind: "image", id: `${providerPath(target, "Microsoft.Compute")}/images/${name}`, place: location },
    find: orAbsent(call("images.get", (abortSignal) => images.get(resource_group, name, { abortSignal }))),
    remove: call("images.delete", (abortSignal) => images.delete(resource_group, name, { abortSignal, updateIntervalInMs: tuning.pollMs })),
    put: (blobUri) => Effect.asVoid(call("images.createOrUpdate", (abortSignal) => images.createOrUpdate(resource_group, name, {
      location, tags: { ...target.tags, ...tagsOf(delivery, deliveryId) }, hyperVGeneration: generationOf(target),
      storageProfile: { osDisk: { osType: "Linux", osState: "Generalized", blobUri, storageAccountType: "Standard_LRS" } }
    }, { abortSignal, updateIntervalInMs: tuning.pollMs })))
  }
}

const versioned = (azure: Clients, delivery: AzureDelivery, { image, name: gallery, regions = [] }: Gallery): Kept => {
  const { call, compute: { galleryImageVersions }, tuning } = azure
  const { deliveryId, target } = delivery
  const { location, resource_group } = target
  const version = versionName(delivery)
  const targetRegions = [...new Set([location, ...regions])].map((name) => ({ name, regionalReplicaCount: 1 }))
  return {
    resource: { kind: "version", id: `${providerPath(target, "Microsoft.Compute")}/galleries/${gallery}/images/${image}/versions/${version}`, place: location },
    find: orAbsent(call("galleryImageVersions.get", (abortSignal) => galleryImageVersions.get(resource_group, gallery, image, version, { abortSignal }))),
    remove: call("galleryImageVersions.delete", (abortSignal) =>
      galleryImageVersions.delete(resource_group, gallery, image, version, { abortSignal, updateIntervalInMs: tuning.pollMs })),
    put: (uri) => Effect.andThen(
      define(azure, delivery, gallery, image),
      Effect.asVoid(call("galleryImageVersions.createOrUpdate", (abortSignal) => galleryImageVersions.createOrUpdate(resource_group, gallery, image, version, {
        location, tags: { ...target.tags, ...tagsOf(delivery, deliveryId) }, publishingProfile: { targetRegions },
        storageProfile: { osDiskImage: { source: { storageAccountId: storageAccountId(target), uri } } },
        safetyProfile: { allowDeletionOfReplicatedLocations: true }
      }, { abortSignal, updateIntervalInMs: tuning.pollMs })))
    )
  }
}

/** A gallery's image is made when it is first delivered to and stays: what others made of it must not change. */
const define = Effect.fnUntraced(function*(
  { call, compute: { galleryImages }, tuning }: Clients, { image: { architecture }, target }: AzureDelivery, gallery: string, image: string
): Effect.fn.Return<void, BuildFailed | CallFailed> {
  const { location, resource_group } = target
  const wanted = { hyperVGeneration: generationOf(target), architecture: architecture === "aarch64" ? "Arm64" : "x64" }
  const found = yield* orAbsent(call("galleryImages.get", (abortSignal) => galleryImages.get(resource_group, gallery, image, { abortSignal })))
  if (found === undefined) {
    yield* call("galleryImages.createOrUpdate", (abortSignal) => galleryImages.createOrUpdate(resource_group, gallery, image, {
      location, ...wanted, osType: "Linux", osState: "Generalized",
      identifier: { publisher: "kiln", offer: image, sku: `${wanted.architecture}-${wanted.hyperVGeneration}` }
    }, { abortSignal, updateIntervalInMs: tuning.pollMs }))
    return
  }
  const { architecture: has = "x64", hyperVGeneration = "V1", osType } = found
  if (has === wanted.architecture && hyperVGeneration === wanted.hyperVGeneration && osType === "Linux") return
  return yield* new BuildFailed({
    class: "user",
    message: `galleryImages.get: ${image} of the gallery ${gallery} is for ${osType} on ${has}, generation ${hyperVGeneration}; `
      + `this image is for Linux on ${wanted.architecture}, generation ${wanted.hyperVGeneration}`
  })
})

/** This delivery's, if it is there and not on its way any more. One of the same name that is somebody else's is left alone. */
export const settled = Effect.fnUntraced(function*(
  { find, resource }: Kept, { deliveryId }: AzureDelivery, pollMs: number
): Effect.fn.Return<Shown | undefined, BuildFailed | CallFailed> {
  while (true) {
    const found = yield* find
    if (found === undefined) return undefined
    if (!isOf(found.tags, deliveryId)) return yield* new BuildFailed({ class: "user", message: `${resource.id} is there, and was not made by this delivery` })
    if (!/^(Creating|Updating|Migrating|Deleting)$/u.test(found.provisioningState ?? "")) return found
    yield* Effect.sleep(pollMs)
  }
})

const parts = /\/resourceGroups\/([^/]+)\/providers\/Microsoft\.Compute\/(?:images\/([^/]+)|galleries\/([^/]+)\/images\/([^/]+)\/versions\/([^/]+))$/u

/** By the id that a resource has in Azure. What is gone is removed. */
export const removeById = ({ call, compute, tuning }: Clients, id: string): Effect.Effect<void, CallFailed> => {
  const [, group, name, gallery, image, version] = parts.exec(id) ?? []
  const options = (abortSignal: AbortSignal) => ({ abortSignal, updateIntervalInMs: tuning.pollMs })
  if (name !== undefined) return call("images.delete", (signal) => compute.images.delete(group!, name, options(signal)))
  if (version === undefined) return Effect.fail(new CallFailed({ what: "remove", status: 400, message: `${id} is no image, and no version of one` }))
  return call("galleryImageVersions.delete", (signal) => compute.galleryImageVersions.delete(group!, gallery!, image!, version, options(signal)))
}
