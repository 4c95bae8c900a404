/** What carries a deployment's marks at Azure. */
import { Effect } from "effect"
import type { Marked } from "../../../domain/ports/image-targets.ts"
import type { TargetOf } from "../../../domain/target.ts"
import { has } from "../call-failed.ts"
import type { Clients } from "./clients.ts"
import { marksIn, prefix } from "./names.ts"

type Azure = TargetOf<"azure">

export const markedBy = Effect.fn("azure.marked")(function*(azure: Clients, target: Azure, deployment: string) {
  return [
    ...(yield* markedImages(azure, target, deployment)),
    ...(yield* markedVersions(azure, target, deployment)),
    ...(yield* markedBlobs(azure, target, deployment))
  ]
})

interface Tagged {
  readonly id?: string
  readonly location?: string
  readonly tags?: Record<string, string>
  readonly publishingProfile?: { readonly publishedDate?: Date }
}

const inKilnsWords = (kind: string, found: ReadonlyArray<Tagged>, deployment: string) =>
  found.flatMap(({ id, location, publishingProfile, tags }): ReadonlyArray<Marked> => {
    const marks = marksIn(tags, deployment)
    if (marks === undefined) return []
    const resource = { kind, id: id!, ...(location !== undefined && { place: location }) }
    return [{ resource, marks, madeAt: publishingProfile?.publishedDate?.getTime() }]
  })

const markedImages = Effect.fnUntraced(function*({ call, compute: { images } }: Clients, { resource_group }: Azure, deployment: string) {
  const found = yield* call("images.listByResourceGroup", (abortSignal) => all<Tagged>(images.listByResourceGroup(resource_group, { abortSignal })))
  return inKilnsWords("image", found, deployment)
})

/** Of the gallery's image that is meant; before the first delivery there is none. */
const markedVersions = Effect.fnUntraced(function*({ call, compute: { galleryImageVersions } }: Clients, { gallery, resource_group }: Azure, deployment: string) {
  if (gallery === undefined) return []
  const found = yield* call("galleryImageVersions.listByGalleryImage", (abortSignal) =>
    all<Tagged>(galleryImageVersions.listByGalleryImage(resource_group, gallery.name, gallery.image, { abortSignal }))).pipe(
    Effect.catchTag("CallFailed", (failed) => has(404)(failed) ? Effect.succeed([]) : Effect.fail(failed)))
  return inKilnsWords("version", found, deployment)
})

const markedBlobs = Effect.fnUntraced(function*({ call, container }: Clients, { container: name, storage_account }: Azure, deployment: string) {
  const found = yield* call("blobs.list", (abortSignal) => all(container.listBlobsFlat({ prefix, includeMetadata: true, abortSignal })))
  return found.flatMap(({ metadata, name: id, properties }): ReadonlyArray<Marked> => {
    const marks = marksIn(metadata, deployment)
    return marks === undefined ? [] : [{ resource: { kind: "blob", id, place: `${storage_account}/${name}` }, marks, madeAt: properties.createdOn?.getTime() }]
  })
})

const all = async <A>(pages: AsyncIterable<A>): Promise<ReadonlyArray<A>> => {
  const items: Array<A> = []
  for await (const item of pages) items.push(item)
  return items
}
