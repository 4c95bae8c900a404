/** The stored files that a manifest names, with what those say that are units. */
import { readFile, stat } from "node:fs/promises"
import { Effect } from "effect"
import type { Manifest } from "../../domain/manifest.ts"
import { BuildFailed, type FilesByDigest } from "../../domain/ports/image-builder.ts"
import type { StoredText, StoredTexts } from "./customization-files.ts"
import { diskFailure } from "./failures.ts"
import { isUnitPath } from "./units.ts"

const longestUnit = 2 ** 20

export const storedTexts = Effect.fnUntraced(function*({ customizations: { files = [] } }: Manifest, byDigest: FilesByDigest = new Map()) {
  const found = new Map<string, StoredText>()
  for (const { digest, path } of files) {
    if (digest === undefined) continue
    const at = byDigest.get(digest)
    if (at === undefined) return yield* new BuildFailed({ class: "platform", message: `the stored file ${digest} did not come with the job` })
    const text = isUnitPath(path) ? yield* unit(at) : (found.get(digest)?.text ?? "")
    found.set(digest, { at, text })
  }
  return found as StoredTexts
})

const unit = (at: string) => Effect.tryPromise({
  try: async () => (await stat(at)).size > longestUnit ? "" : readFile(at, "utf8"),
  catch: diskFailure("reading a stored file")
})
