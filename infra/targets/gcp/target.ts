/** Images of Compute Engine: an archive through Cloud Storage, imported, shared, and the archive removed. */
import { Clock, Effect, type Scope } from "effect"
import { Digest, Millis } from "../../../domain/ids.ts"
import type { ImageCopy } from "../../../domain/image-copy.ts"
import { BuildFailed, type Report } from "../../../domain/ports/image-builder.ts"
import type { Delivery, ImageTarget, Journal } from "../../../domain/ports/image-targets.ts"
import type { TargetOf } from "../../../domain/target.ts"
import { diskFormats } from "../../formats/convert.ts"
import { CallFailed, inKilnsWords } from "../call-failed.ts"
import { ensureRoom, obstaclesOf } from "./check.ts"
import { type Clients, clients, type Tuning, usual } from "./clients.ts"
import { failedImport, findImage, forgetInsert, insertImage, nameOf, removeImage, share, waitFor } from "./image.ts"
import { markedBy } from "./marked.ts"
import { objectName } from "./names.ts"
import { ensureObject, removeObject, sentBefore } from "./object.ts"

type Gcp = TargetOf<"gcp">

export const gcpTargetWith = (tuning: Tuning): ImageTarget<Gcp> => ({
  type: "gcp",
  format: ({ artifact: { format } }) => {
    if (format === "gcp") return Effect.succeed(undefined)
    return format in diskFormats ? Effect.succeed("gcp") : new BuildFailed({ class: "user", message: `gcp takes disks, and no ${format}` })
  },
  deliver: (delivery, journal, report) => open(delivery.target, delivery.credentials, tuning, (google) => deliver(google, delivery, journal, report, tuning)),
  remove: (target, resources, credentials) => open(target, credentials, tuning, (google) =>
    Effect.forEach(resources, ({ id, kind, place }) =>
      kind === "image" ? removeImage({ ...google, project: place ?? google.project }, id, tuning.pollMs) : removeObject(google, id), { discard: true })),
  check: (target, credentials) => open(target, credentials, tuning, (google) => obstaclesOf(google, target)).pipe(
    Effect.catchTag("BuildFailed", ({ message }) => Effect.succeed([{ what: "credentials", problem: message }]))),
  marked: (target, credentials, deployment) => open(target, credentials, tuning, (google) => markedBy(google, target, deployment))
})

export const gcpTarget = gcpTargetWith(usual)

const open = <A>(
  target: Gcp, credentials: Delivery["credentials"], tuning: Tuning, use: (google: Clients) => Effect.Effect<A, BuildFailed | CallFailed, Scope.Scope>
): Effect.Effect<A, BuildFailed> =>
  clients(target, credentials, tuning).pipe(Effect.flatMap(use), Effect.scoped, Effect.catchTag("CallFailed", (failed) => Effect.fail(inKilnsWords(failed))))

/** What is there is looked for before it is made: a killed attempt may have made it without hearing so. */
const deliver = Effect.fn("gcp.deliver")(function*(google: Clients, delivery: Delivery<Gcp>, journal: Journal, report: Report, tuning: Tuning) {
  yield* ensureImage(google, delivery, journal, report, tuning)
  report.progress({ stage: "share", percent: 96 })
  yield* share(google, delivery)
  yield* removeObject(google, objectName(delivery.deliveryId))
  return yield* copyOf(google, delivery, journal)
})

const ensureImage = Effect.fnUntraced(function*(
  google: Clients, delivery: Delivery<Gcp>, journal: Journal, report: Report, tuning: Tuning
): Effect.fn.Return<void, BuildFailed | CallFailed> {
  const importing = (percent: number) => report.progress({ stage: "import", percent: 80 + percent * 0.15 })
  const begun = journal.read("operation") as string | null | undefined
  if (typeof begun === "string" && begun !== "") yield* ended(google, begun, journal, tuning, importing)
  const found = yield* settled(google, delivery, tuning)
  if (found?.status === "READY") return
  if (found !== undefined) yield* removeImage(google, nameOf(delivery), tuning.pollMs)
  yield* ensureRoom(google)
  const object = yield* ensureObject(google, delivery, journal, report, tuning)
  importing(0)
  const operation = yield* insertImage(google, delivery, object, journal).pipe(
    // Made between our look and our call; by whom, the next look tells.
    Effect.catchTag("CallFailed", (failed) => failed.status === 409 ? Effect.succeed(undefined) : Effect.fail(failed))
  )
  if (operation !== undefined) yield* ended(google, operation, journal, tuning, importing)
  const made = yield* settled(google, delivery, tuning)
  if (made?.status !== "READY") {
    return yield* failedImport(new CallFailed({ what: "compute.images.insert", message: `the image is ${made?.status ?? "not there"} after its import` }))
  }
})

const ended = Effect.fnUntraced(function*(google: Clients, operation: string, journal: Journal, { pollMs }: Tuning, onProgress: (percent: number) => void) {
  const failed = yield* waitFor(google, "compute.images.insert", operation, pollMs, onProgress)
  if (failed === undefined) return
  yield* forgetInsert(journal)
  return yield* failedImport(failed)
})

const settled = Effect.fnUntraced(function*(google: Clients, delivery: Delivery<Gcp>, { pollMs }: Tuning) {
  while (true) {
    const found = yield* findImage(google, delivery)
    if (found?.status !== "PENDING") return found
    yield* Effect.sleep(pollMs)
  }
})

const copyOf = Effect.fnUntraced(function*({ project }: Clients, delivery: Delivery<Gcp>, journal: Journal) {
  const name = nameOf(delivery)
  return {
    id: name,
    place: project,
    url: `https://console.cloud.google.com/compute/imagesDetail/projects/${project}/global/images/${name}`,
    digest: Digest.make(`sha256:${delivery.sha256}`),
    format: "gcp",
    resources: [{ kind: "image", id: name, place: project }],
    bytesSent: sentBefore(journal),
    deliveredAt: Millis.make(yield* Clock.currentTimeMillis)
  } satisfies ImageCopy
})
