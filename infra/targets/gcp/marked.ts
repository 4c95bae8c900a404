/** What carries a deployment's marks at Google. Sessions of uploads are no things: they end by themselves after a week. */
import { Effect } from "effect"
import type { Marked } from "../../../domain/ports/image-targets.ts"
import type { TargetOf } from "../../../domain/target.ts"
import type { Clients } from "./clients.ts"
import { labelOf, marksIn, prefix } from "./names.ts"

export const markedBy = Effect.fn("gcp.marked")(function*(clients: Clients, { bucket }: TargetOf<"gcp">, deployment: string) {
  return [...(yield* markedImages(clients, deployment)), ...(yield* markedObjects(clients, bucket, deployment))]
})

const markedImages = Effect.fnUntraced(function*({ call, images, project }: Clients, deployment: string) {
  const [found] = yield* call("compute.images.list", () => images.list({ project, filter: `labels.kiln-deployment = "${labelOf(deployment)}"` }))
  return found.flatMap(({ creationTimestamp, labels, name }): ReadonlyArray<Marked> => {
    const marks = marksIn(labels, deployment)
    return marks === undefined ? [] : [{ resource: { kind: "image", id: String(name), place: project }, marks, madeAt: millis(creationTimestamp) }]
  })
})

const markedObjects = Effect.fnUntraced(function*({ bucket, call }: Clients, place: string, deployment: string) {
  const [files] = yield* call("storage.objects.list", () => bucket.getFiles({ prefix }))
  return files.flatMap(({ metadata: { metadata, timeCreated }, name }): ReadonlyArray<Marked> => {
    const marks = marksIn(metadata, deployment)
    return marks === undefined ? [] : [{ resource: { kind: "object", id: name, place }, marks, madeAt: millis(timeCreated) }]
  })
})

const millis = (time: string | null | undefined): number | undefined => {
  const at = Date.parse(time ?? "")
  return Number.isNaN(at) ? undefined : at
}
