import { Effect, Option } from "effect"
import type { DepsolveView } from "../../gateway/api/depsolve-api.ts"
import { Kiln } from "../client.ts"
import { commandFailed } from "../command-failed.ts"
import { withoutLocalFiles } from "../local-files.ts"
import { answer } from "../output.ts"
import { readRequest } from "../request-file.ts"
import { table } from "../table.ts"
import { bytes } from "../units.ts"

export interface DepsolveInput {
  readonly file: Option.Option<string>
  readonly distribution: Option.Option<string>
  readonly architecture: string
  readonly type: Option.Option<string>
  readonly package: ReadonlyArray<string>
}

export const depsolve = Effect.fn("depsolve")(function*(input: DepsolveInput) {
  const kiln = yield* Kiln
  const asked = Option.isSome(input.file) ? imagesOf(JSON.parse(yield* withoutLocalFiles(yield* readRequest(input.file.value)))) : [yield* saidHere(input)]
  const found = yield* Effect.forEach(asked, (body) =>
    kiln.json<DepsolveView>("/depsolve", { method: "POST", body: JSON.stringify(body) }))
  yield* answer(asked.length === 1 ? found[0] : found, (output) =>
    found.flatMap((image) => [
      ...table(output, [
        { title: "PACKAGE", of: ({ name }) => name },
        { title: "VERSION", of: ({ version }) => version },
        { title: "ARCH", of: ({ architecture }) => architecture },
        { title: "SIZE", of: ({ size }) => bytes(size), right: true }
      ], image.packages),
      `${image.packages.length} packages for ${image.distribution} ${image.image_type} ${image.architecture}, ${bytes(image.download_bytes)} to download`
    ]))
})

/** What is wrong with a request, the service says; here is only taken apart what looks like one. */
const imagesOf = (request: unknown): ReadonlyArray<object> => {
  const { customizations, distribution, images } = (request ?? {}) as Record<string, unknown>
  const all = Array.isArray(images) && images.length > 0 ? images as ReadonlyArray<Record<string, unknown>> : [{}]
  return all.map((image) => ({ distribution, architecture: image?.["architecture"], image_type: image?.["type"], customizations }))
}

const saidHere = ({ architecture, distribution, package: packages, type }: DepsolveInput) =>
  Option.isNone(distribution)
    ? Effect.fail(commandFailed("invalid", "Say which: a file, or --distribution"))
    : Effect.succeed({
      distribution: distribution.value,
      architecture,
      image_type: Option.getOrUndefined(type),
      customizations: {
        packages: packages.map((wanted) => {
          const [name = "", version] = wanted.split("=", 2)
          return version === undefined ? name : { name, version }
        })
      }
    })
