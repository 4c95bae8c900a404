/** What would keep a delivery to Azure from working: a blob of one page is made and removed, the rest is only looked at. */
import { randomUUID } from "node:crypto"
import { Effect } from "effect"
import type { Obstacle } from "../../../domain/ports/image-targets.ts"
import type { TargetOf } from "../../../domain/target.ts"
import type { CallFailed } from "../call-failed.ts"
import { redacted } from "../failures.ts"
import { removeBlob } from "./blob.ts"
import type { Clients } from "./clients.ts"
import { prefix } from "./names.ts"
import { footerSize } from "./vhd-footer.ts"

export const obstaclesOf = Effect.fn("azure.check")(function*(azure: Clients, target: TargetOf<"azure">) {
  const found = yield* Effect.all([tried(ofContainer(azure)), tried(ofImages(azure, target)), tried(ofGallery(azure, target))], { concurrency: 3 })
  return found.flat()
})

const tried = (effect: Effect.Effect<void, CallFailed>): Effect.Effect<ReadonlyArray<Obstacle>> =>
  effect.pipe(
    Effect.map((): ReadonlyArray<Obstacle> => []),
    Effect.catchTag("CallFailed", ({ code, message, what }) => Effect.succeed([{ what, problem: redacted(code === undefined ? message : `${code}: ${message}`) }]))
  )

const ofContainer = Effect.fnUntraced(function*(azure: Clients) {
  const name = `${prefix}check-${randomUUID()}`
  yield* azure.call("blobs.create", (abortSignal) => azure.container.getPageBlobClient(name).create(footerSize, { abortSignal }))
  yield* removeBlob(azure, name)
})

/** The nearest to making one that leaves nothing behind. */
const ofImages = ({ call, compute: { images } }: Clients, { resource_group }: TargetOf<"azure">) =>
  Effect.asVoid(call("images.listByResourceGroup", (abortSignal) => images.listByResourceGroup(resource_group, { abortSignal }).next()))

const ofGallery = ({ call, compute: { galleries } }: Clients, { gallery, resource_group }: TargetOf<"azure">) =>
  gallery === undefined ? Effect.void : Effect.asVoid(call("galleries.get", (abortSignal) => galleries.get(resource_group, gallery.name, { abortSignal })))
