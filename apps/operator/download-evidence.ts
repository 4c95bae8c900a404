/** What Kiln says of an image, as files beside it. */
import { randomUUID } from "node:crypto"
import { mkdir, rename, writeFile } from "node:fs/promises"
import { basename, dirname } from "node:path"
import { Effect } from "effect"
import { Kiln } from "./client.ts"
import { commandFailed, exitCodes } from "./command-failed.ts"

/** How a document is called beside the file `FILE` that it is about, and where Kiln has it. */
export const documents = {
  provenance: { suffix: ".provenance.json", name: "provenance.dsse.json" },
  spdx: { suffix: ".spdx.json", name: "sbom.spdx.json" },
  cyclonedx: { suffix: ".cdx.json", name: "sbom.cdx.json" },
  lock: { suffix: ".lock.json", name: "lock.json" }
} as const
export type Document = keyof typeof documents

interface About {
  readonly id: string
  readonly image: number
  /** The image's own path, where it is or would be. */
  readonly path: string
}

/** The paths of those that there are. */
export const downloadEvidence = Effect.fn("downloadEvidence")(function*({ id, image, path }: About, wanted: ReadonlyArray<Document>) {
  const paths: Partial<Record<Document, string>> = {}
  for (const document of wanted) {
    const { name, suffix } = documents[document]
    const found = yield* fetchTo(`/composes/${id}/images/${image}/${name}`, `${path}${suffix}`).pipe(
      Effect.catchIf(({ code }) => code === exitCodes.notFound, () => Effect.succeed(undefined))
    )
    if (found !== undefined) paths[document] = found
  }
  return paths
})

/** Whole or not at all. */
export const fetchTo = Effect.fnUntraced(function*(from: string, path: string) {
  const response = yield* (yield* Kiln).open(from)
  yield* Effect.tryPromise({
    try: async () => {
      const bytes = new Uint8Array(await response.arrayBuffer())
      const draft = `${path}.${randomUUID()}.part`
      await mkdir(dirname(path), { recursive: true })
      await writeFile(draft, bytes)
      await rename(draft, path)
    },
    catch: (error) => commandFailed("failed", `${basename(path)} cannot be had: ${(error as Error).message}`)
  })
  return path
}, Effect.scoped)
