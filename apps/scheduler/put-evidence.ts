/** What a worker says of an image beside its bytes goes to the blobs, as the documents that people will be given. */
import { promisify } from "node:util"
import { gunzip } from "node:zlib"
import { Data, Effect } from "effect"
import type { Evidence } from "../../domain/artifact.ts"
import { Blobs } from "../../domain/ports/blobs.ts"
import type { WorkEvidence } from "../../domain/work.ts"

const unpack = promisify(gunzip)
/** A bill of ten thousand packages. */
const longest = 16 * 2 ** 20

class Unreadable extends Data.TaggedError("Unreadable")<{ readonly message: string }> {}

/** An image is no worse for a document that cannot be read: it is left out. */
export const putEvidence = Effect.fn("putEvidence")(function*({ cyclonedx, noBill, spdx, tools }: WorkEvidence) {
  const evidence: Evidence = {
    ...yield* put("spdx", spdx),
    ...yield* put("cyclonedx", cyclonedx),
    ...(tools && { tools }),
    ...(noBill !== undefined && { noBill })
  }
  return evidence
})

const put = Effect.fnUntraced(function*(name: "spdx" | "cyclonedx", packed: string | undefined) {
  if (packed === undefined) return {}
  const bytes = yield* Effect.tryPromise({
    try: () => unpack(Buffer.from(packed, "base64"), { maxOutputLength: longest }),
    catch: (error) => new Unreadable({ message: (error as Error).message })
  })
  return { [name]: yield* (yield* Blobs).put(bytes) }
}, Effect.catchTag("Unreadable", ({ message }) => Effect.as(Effect.logWarning("a bill of materials is left out", { reason: message }), {})))
