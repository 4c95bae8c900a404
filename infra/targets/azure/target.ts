/** Images at Azure: a fixed VHD as a page blob without its zeros, made into a managed image or a gallery's version, and the blob removed. */
import { Clock, Effect } from "effect"
import { Digest, Millis } from "../../../domain/ids.ts"
import type { ImageCopy } from "../../../domain/image-copy.ts"
import { BuildFailed, type Report } from "../../../domain/ports/image-builder.ts"
import type { Delivery, ImageTarget, Journal } from "../../../domain/ports/image-targets.ts"
import type { TargetOf } from "../../../domain/target.ts"
import { diskFormats } from "../../formats/convert.ts"
import { CallFailed, inKilnsWords } from "../call-failed.ts"
import { redacted } from "../failures.ts"
import { ensureBlob, removeBlob, sentBefore } from "./blob.ts"
import { obstaclesOf } from "./check.ts"
import { type Clients, clients, type Tuning, usual, whenFree } from "./clients.ts"
import { type Kept, kept, removeById, settled } from "./image.ts"
import { markedBy } from "./marked.ts"
import { blobName, generationOf } from "./names.ts"

type Azure = TargetOf<"azure">

export const azureTargetWith = (tuning: Tuning): ImageTarget<Azure> => ({
  type: "azure",
  format: ({ artifact: { format }, image: { architecture }, target }) => {
    const no = (message: string) => new BuildFailed({ class: "user", message })
    if (!(format in diskFormats)) return no(`azure takes disks, and no ${format}`)
    if (architecture === "aarch64" && target.gallery === undefined) return no("a managed image of Azure is for x86_64; name a gallery for an image for aarch64")
    if (architecture === "aarch64" && generationOf(target) === "V1") return no("machines for aarch64 are of generation V2 at Azure")
    // Of a raw disk the VHD is made on the way.
    return Effect.succeed(format === "vhd" || format === "raw" ? undefined : "raw")
  },
  deliver: (delivery, journal, report) => open(delivery.target, delivery.credentials, tuning, (azure) => deliver(azure, delivery, journal, report)),
  remove: (target, resources, credentials) => open(target, credentials, tuning, (azure) =>
    Effect.forEach(resources, ({ id, kind }) => whenFree(azure, kind === "blob" ? removeBlob(azure, id) : removeById(azure, id)), { discard: true })),
  check: (target, credentials) => open(target, credentials, tuning, (azure) => obstaclesOf(azure, target)).pipe(
    Effect.catchTag("BuildFailed", ({ message }) => Effect.succeed([{ what: "credentials", problem: message }]))),
  marked: (target, credentials, deployment) => open(target, credentials, tuning, (azure) => markedBy(azure, target, deployment))
})

export const azureTarget = azureTargetWith(usual)

const open = <A>(
  target: Azure, credentials: Delivery["credentials"], tuning: Tuning, use: (azure: Clients) => Effect.Effect<A, BuildFailed | CallFailed>
): Effect.Effect<A, BuildFailed> =>
  clients(target, credentials, tuning).pipe(
    Effect.flatMap(use), Effect.scoped, Effect.catchTag("CallFailed", (failed) => Effect.fail(inKilnsWords(failed)))
  )

/** What is there is looked for before it is made: a killed attempt may have made it without hearing so. */
const deliver = Effect.fn("azure.deliver")(function*(azure: Clients, delivery: Delivery<Azure>, journal: Journal, report: Report) {
  const image = kept(azure, delivery)
  yield* ensureImage(azure, image, delivery, journal, report)
  yield* removeBlob(azure, blobName(delivery.deliveryId))
  const { id, place } = image.resource
  return {
    id, ...(place !== undefined && { place }),
    url: `https://portal.azure.com/#resource${id}`,
    // Of a raw disk what lies there has a footer besides.
    ...(delivery.artifact.format === "vhd" && { digest: Digest.make(`sha256:${delivery.sha256}`) }),
    format: "vhd",
    resources: [image.resource],
    bytesSent: sentBefore(journal),
    deliveredAt: Millis.make(yield* Clock.currentTimeMillis)
  } satisfies ImageCopy
})

const ensureImage = Effect.fnUntraced(function*(
  azure: Clients, image: Kept, delivery: Delivery<Azure>, journal: Journal, report: Report
): Effect.fn.Return<void, BuildFailed | CallFailed> {
  const { pollMs } = azure.tuning
  const found = yield* settled(image, delivery, pollMs)
  if (found?.provisioningState === "Succeeded") return
  if (found !== undefined) yield* whenFree(azure, image.remove)
  const blobUri = yield* ensureBlob(azure, delivery, journal, report)
  report.progress({ stage: "register", percent: 85 })
  yield* journal.note("register", image.resource.id)
  yield* Effect.mapError(image.put(blobUri), (failed) => failed._tag === "CallFailed" && failed.status === 200 ? failedImport(failed) : failed)
  const made = yield* settled(image, delivery, pollMs)
  if (made?.provisioningState !== "Succeeded") return yield* failedImport(new CallFailed({ what: "register", message: `${image.resource.id} is ${made?.provisioningState ?? "not there"}` }))
})

/** An operation that was taken and failed later. */
const failedImport = ({ code, message, what }: CallFailed) =>
  new BuildFailed({
    class: /quota|limit|throttl/iu.test(code ?? "") ? "target-quota" : "target-fault",
    message: redacted(`${what}: ${code === undefined ? "" : `${code}: `}${message}`)
  })
