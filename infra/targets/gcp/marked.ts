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

interface Page {
  readonly items?: ReadonlyArray<{ readonly name: string; readonly metadata?: Readonly<Record<string, string>>; readonly timeCreated?: string }>
  readonly nextPageToken?: string
}

const markedObjects = Effect.fnUntraced(function*({ ask }: Clients, place: string, deployment: string) {
  const found: Array<Marked> = []
  let pageToken: string | undefined
  do {
    const page: Page = yield* ask<Page>("storage.objects.list", "o", [["prefix", prefix], ...(pageToken === undefined ? [] : [["pageToken", pageToken] as [string, string]])])
    for (const { metadata, name, timeCreated } of page.items ?? []) {
      const marks = marksIn(metadata, deployment)
      if (marks !== undefined) found.push({ resource: { kind: "object", id: name, place }, marks, madeAt: millis(timeCreated) })
    }
    pageToken = page.nextPageToken
  } while (pageToken !== undefined)
  return found
})

const millis = (time: string | null | undefined): number | undefined => {
  const at = Date.parse(time ?? "")
  return Number.isNaN(at) ? undefined : at
}
