/** The image once more, in another region. */
import { Effect } from "effect"
import { BuildFailed } from "../../../domain/ports/image-builder.ts"
import { saysCode } from "./ec2.ts"
import { findImage, type Found, lookAt, takenByUs } from "./image.ts"
import { descriptionOf, nameOf, tagsOf, tokenOf } from "./plan.ts"
import { note, noted, type Run, watch } from "./run.ts"

/** So often a new copy may be unknown to the region that it was asked of. */
const unseen = 6

export const ensureCopy = Effect.fn("aws.ensureCopy")(function*(run: Run, region: string, from: string) {
  const step = `copy ${region}`
  const known = yield* findImage(run, region)
  if (known?.state === "failed") yield* giveUp(run, region, known.id)
  let id = known?.state === "failed" ? undefined : known?.id
  // A token may answer with a copy that has failed and is gone; then the next one is asked.
  for (;;) {
    const { attempt } = noted(run, step)
    id ??= yield* begin(run, region, from, attempt)
    yield* note(run, step, { attempt, id })
    const copy = yield* settled(run, region, id)
    if (copy === "gone") {
      if (attempt >= 5) return yield* new BuildFailed({ class: "target-fault", message: `copies to ${region} vanish` })
      yield* note(run, step, { attempt: attempt + 1 })
      id = undefined
      continue
    }
    if (copy.state !== "failed") return { id: copy.id, snapshotId: copy.snapshotId, state: copy.state } satisfies Found
    yield* giveUp(run, region, id)
    return yield* new BuildFailed({ class: "target-fault", message: `the copy ${id} to ${region} failed: ${copy.reason ?? "no word of why"}` })
  }
})

const begin = Effect.fnUntraced(function*(run: Run, region: string, from: string, attempt: number) {
  const { delivery, ec2, report } = run
  const tags = tagsOf(delivery)
  yield* note(run, `copy ${region}`, { attempt })
  const answer = yield* ec2.try(region, "CopyImage", (aws, abort) => aws.copyImage({
    ClientToken: tokenOf(delivery, `copy ${region}`, attempt),
    Name: nameOf(delivery),
    Description: descriptionOf(delivery),
    SourceImageId: from,
    SourceRegion: delivery.target.region,
    TagSpecifications: [{ ResourceType: "image", Tags: tags }, { ResourceType: "snapshot", Tags: tags }]
  }, abort)).pipe(
    Effect.catchIf(saysCode("InvalidAMIName.Duplicate"), () => Effect.succeed(undefined)),
    Effect.mapError(({ failure }) => failure)
  )
  const id = answer === undefined ? yield* takenByUs(run, region) : answer.ImageId
  if (id === undefined) return yield* new BuildFailed({ class: "target-fault", message: "ec2:CopyImage answered without an image" })
  report.line(`copying to ${region}: ${id}`)
  return id
})

const settled = (run: Run, region: string, id: string) => {
  let missing = 0
  return watch(run.pace, () => Effect.map(lookAt(run.ec2, region, id), (image) => {
    if (image !== undefined) return image.state === "pending" ? undefined : image
    return ++missing < unseen ? undefined : "gone" as const
  }))
}

/** What has failed keeps the name; its token would answer with it for ever. */
const giveUp = Effect.fnUntraced(function*(run: Run, region: string, id: string) {
  yield* run.ec2.try(region, "DeregisterImage", (aws, abort) => aws.deregisterImage({ ImageId: id, DeleteAssociatedSnapshots: true }, abort)).pipe(
    Effect.catchIf(saysCode("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"), () => Effect.void),
    Effect.mapError(({ failure }) => failure)
  )
  yield* note(run, `copy ${region}`, { attempt: noted(run, `copy ${region}`).attempt + 1 })
})
