/** What is said of an image beside its bytes, made where the image was built and kept with it. */
import { createHash } from "node:crypto"
import { readFile, stat } from "node:fs/promises"
import { promisify } from "node:util"
import { gzip } from "node:zlib"
import { Data, Effect, Option, Schema } from "effect"
import type { Artifact } from "../../domain/artifact.ts"
import { billOf } from "../../domain/evidence/bill.ts"
import { cyclonedxDocument } from "../../domain/evidence/cyclonedx.ts"
import { Inventory } from "../../domain/evidence/inventory.ts"
import { spdxDocument } from "../../domain/evidence/spdx.ts"
import type { Digest } from "../../domain/ids.ts"
import { canonical, type Manifest } from "../../domain/manifest.ts"
import { HeldImages } from "../../domain/ports/held-images.ts"
import type { BuiltFile, Report } from "../../domain/ports/image-builder.ts"
import { WorkEvidence } from "../../domain/work.ts"

const pack = promisify(gzip)
const decodeInventory = Schema.decodeUnknownEffect(Schema.fromJsonString(Inventory))
const WorkEvidenceText = Schema.fromJsonString(WorkEvidence)
const encode = Schema.encodeSync(WorkEvidenceText)
const decode = Schema.decodeUnknownEffect(WorkEvidenceText)

/** A report goes in one message with the log of its job. */
const longestInventory = 32 * 2 ** 20
const longestDocument = 2 * 2 ** 20

class Unreadable extends Data.TaggedError("Unreadable")<{ readonly message: string }> {}

/** What the builder has found in the image; nothing, and a line that says why, if it cannot be read. */
export const readInventory = Effect.fnUntraced(function*({ inventory }: BuiltFile, report: Report) {
  if (inventory === undefined) return undefined
  return yield* Effect.tryPromise({
    try: async () => {
      if ((await stat(inventory)).size > longestInventory) throw new Error(`it is longer than ${longestInventory} bytes`)
      return readFile(inventory, "utf8")
    },
    catch: (error) => new Unreadable({ message: (error as Error).message })
  }).pipe(
    Effect.flatMap(decodeInventory),
    Effect.catch(({ message }) => Effect.sync(() => report.line(`what is in the image cannot be told: ${message}`)))
  )
}, Effect.map((found) => found ?? undefined))

const untold = "its builder does not tell what is in its images"
const longestReason = 500
const none = (why: string): WorkEvidence => ({ noBill: why.replaceAll("\0", "").slice(0, longestReason).toWellFormed() })

/** Where there is nothing to tell, that is told, and `why`. */
export const makeEvidence = Effect.fnUntraced(function*(
  manifest: Manifest, artifact: Artifact, inventory: Inventory | undefined, why = untold
): Effect.fn.Return<WorkEvidence> {
  const bill = billOf(manifest, artifact, inventory)
  if (bill === undefined) return none(why)
  const hash = createHash("sha256").update(canonical(bill)).digest("hex")
  const documents = { ...yield* packed("spdx", spdxDocument(bill, hash)), ...yield* packed("cyclonedx", cyclonedxDocument(bill, hash)) }
  return {
    ...(Object.keys(documents).length === 0 ? none(`${bill.packages.length} packages are more than one can hold`) : documents),
    ...(inventory?.tools && { tools: inventory.tools })
  }
})

const packed = (name: "spdx" | "cyclonedx", document: object) =>
  Effect.promise(async () => {
    const text = (await pack(`${JSON.stringify(document, undefined, 1)}\n`)).toString("base64")
    return text.length > longestDocument ? {} : { [name]: text }
  })

/** Kept beside the image, for the next time that it stands in for a build. */
export const keepEvidence = Effect.fnUntraced(function*(manifest: Digest, evidence: WorkEvidence | undefined) {
  if (evidence !== undefined) yield* (yield* HeldImages).annotate(manifest, encode(evidence))
})

export const keptEvidence = Effect.fnUntraced(function*(manifest: Digest) {
  const text = yield* (yield* HeldImages).annotation(manifest)
  return text === undefined ? undefined : Option.getOrUndefined(yield* Effect.option(decode(text)))
})
