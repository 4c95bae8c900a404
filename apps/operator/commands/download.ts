import { Effect, Option } from "effect"
import { downloadEvidence } from "../download-evidence.ts"
import { downloadImages } from "../download-images.ts"
import { fromHere } from "../endpoint.ts"
import { Output, print } from "../output.ts"

export interface DownloadInput {
  readonly id: string
  readonly output: string
  readonly image: Option.Option<number>
  readonly evidence: boolean
}

export const download = Effect.fn("download")(function*({ evidence, id, image, output }: DownloadInput) {
  const images = yield* downloadImages(id, { folder: fromHere(output), image: Option.getOrUndefined(image) })
  const files = yield* Effect.forEach(images, (file) =>
    Effect.map(
      downloadEvidence({ id, ...file }, evidence ? ["provenance", "spdx", "cyclonedx"] : ["provenance"]),
      (paths) => ({ ...file, ...paths })
    ))
  if ((yield* Output).json) yield* print(JSON.stringify({ id, files }, undefined, 2))
})
