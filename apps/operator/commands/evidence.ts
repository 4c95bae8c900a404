import { basename, join } from "node:path"
import { Effect, Option } from "effect"
import { namedFiles } from "../../../domain/artifact-names.ts"
import type { ComposeDetails } from "../../gateway/api/compose-views.ts"
import { Kiln } from "../client.ts"
import { commandFailed } from "../command-failed.ts"
import { type Document, documents, downloadEvidence, fetchTo } from "../download-evidence.ts"
import { fromHere } from "../endpoint.ts"
import { answer } from "../output.ts"

export interface EvidenceInput {
  readonly id: string
  readonly output: string
  readonly image: Option.Option<number>
}

export const evidence = Effect.fn("evidence")(function*({ id, image, output }: EvidenceInput) {
  const compose = yield* (yield* Kiln).json<ComposeDetails>(`/composes/${id}`)
  const folder = fromHere(output)
  const wanted = namesOf(compose).filter((each) => Option.isNone(image) || each.image === image.value)
  if (wanted.length === 0) return yield* commandFailed("notFound", `Compose ${id} has no such image that is built`)
  const sums = yield* fetchTo(`/composes/${id}/checksums`, join(folder, "SHA256SUMS"))
  const images = yield* Effect.forEach(wanted, ({ image, name }) =>
    Effect.map(
      downloadEvidence({ id, image, path: join(folder, basename(name)) }, Object.keys(documents) as Array<Document>),
      (paths) => ({ image, paths })
    ))
  const document = { id, checksums: sums, images: images.map(({ image, paths }) => ({ image, ...paths })) }
  yield* answer(document, () => [sums, ...images.flatMap(({ paths }) => Object.values(paths))])
})

/** As `download` calls the files; an image that is built and went nowhere yet has none. */
const namesOf = ({ images }: ComposeDetails) => {
  const named = namedFiles(images.flatMap(({ targets }, image) =>
    targets.flatMap(({ artifact }, target) => (artifact === undefined ? [] : [{ ...artifact, image, target }]))))
  return images.flatMap(({ evidence }, image) =>
    evidence === undefined ? [] : [{ image, name: named.find(({ file }) => file.image === image)?.name ?? `image-${image}` }])
}
