/** From a built image to the request for a compose that builds it again and compares. */
import { Effect } from "effect"
import type { ImageRequest, SealedComposeRequest } from "../../domain/compose-request.ts"
import type { Compose } from "../../domain/compose-state.ts"
import { type ComposeId, JobId, type TenantId } from "../../domain/ids.ts"
import { Sealer } from "../../domain/ports/sealer.ts"
import type { Verifies } from "../../domain/verification.ts"
import { NotFound, NotVerifiable } from "./api/problems.ts"
import { Catalog } from "./catalog.ts"
import { findCompose } from "./find-compose.ts"
import type { Sealed } from "./request-compose.ts"

/** Packages stay as they were resolved, secrets as they were sealed; nothing is delivered and nothing booted. */
export const verification = Effect.fnUntraced(function*(tenantId: TenantId, id: ComposeId, image: number) {
  const { compose } = yield* findCompose(tenantId, id)
  const request = compose.request!
  const asked = request.images[image]
  if (asked === undefined) return yield* new NotFound({ detail: `compose ${id} has no image ${image}` })
  const verifies = yield* verifiesOf(compose, id, image)
  yield* reproducible(request.distribution)
  yield* steady(asked)
  yield* openable(tenantId, request)
  const { test: _, ...made } = asked
  const sealed: SealedComposeRequest = {
    distribution: request.distribution,
    name: `verification of image ${image} of ${request.name ?? id}`.slice(0, 200),
    labels: { verifies: id },
    images: [{ ...made, targets: [] }],
    ...(request.customizations && { customizations: request.customizations })
  }
  return { sealed, asked: { builder: compose.builder, resolves: false, verifies } } satisfies Pick<Sealed, "sealed" | "asked">
})

const verifiesOf = Effect.fnUntraced(function*({ outcomes, verifies }: Compose, composeId: ComposeId, image: number): Effect.fn.Return<Verifies, NotVerifiable> {
  if (verifies !== undefined) return yield* new NotVerifiable({ detail: `this compose verifies an image of ${verifies.composeId} and keeps none of its own` })
  const built = outcomes.get(JobId.make(`${image}-build`))
  if (built?._tag !== "Built") return yield* new NotVerifiable({ detail: `image ${image} is not built` })
  const resolved = outcomes.get(JobId.make(`${image}-resolve`))
  const { artifact, evidence, heldBy, manifest, revision } = built
  return {
    composeId, image, manifest, artifact, worker: heldBy,
    ...(revision !== undefined && { revision }), ...(evidence?.tools && { tools: evidence.tools }), ...(resolved?._tag === "Resolved" && { lock: resolved.lock })
  }
})

const reproducible = Effect.fnUntraced(function*(id: string) {
  const distribution = (yield* Catalog).distributions.find((each) => each.id === id)
  if (distribution === undefined) return yield* new NotVerifiable({ detail: `distribution ${id} is not built here any more` })
  if (distribution.reproducible !== true) {
    return yield* new NotVerifiable({ detail: `the builder of ${id}, ${distribution.builder}, does not promise the same image twice` })
  }
})

/** No tool here reads the files of a btrfs, and `mkfs.btrfs` takes ids by chance: the bytes are never the same. */
const steady = Effect.fnUntraced(function*({ options: { filesystem, mountpoints = [] } = {} }: ImageRequest) {
  const parts = [...(filesystem === "btrfs" ? ["the root"] : []), ...mountpoints.filter((each) => each.filesystem === "btrfs").map(({ mountpoint }) => mountpoint)]
  if (parts.length > 0) {
    return yield* new NotVerifiable({ detail: `btrfs of ${parts.join(", ")} comes out with other ids each time, and its files cannot be compared` })
  }
})

/** Its passwords are part of the image. */
const openable = Effect.fnUntraced(function*(tenantId: TenantId, { customizations }: SealedComposeRequest) {
  const sealer = yield* Sealer
  for (const { name, password } of customizations?.users ?? []) {
    if (password !== undefined) {
      yield* Effect.mapError(sealer.open(tenantId, password), () => new NotVerifiable({ detail: `the password of ${name} is erased` }))
    }
  }
})
