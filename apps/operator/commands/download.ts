import { Effect, Option } from "effect"
import { downloadImages } from "../download-images.ts"
import { fromHere } from "../endpoint.ts"
import { Output, print } from "../output.ts"

export interface DownloadInput {
  readonly id: string
  readonly output: string
  readonly image: Option.Option<number>
}

export const download = Effect.fn("download")(function*({ id, image, output }: DownloadInput) {
  const files = yield* downloadImages(id, { folder: fromHere(output), image: Option.getOrUndefined(image) })
  if ((yield* Output).json) yield* print(JSON.stringify({ id, files }, undefined, 2))
})
