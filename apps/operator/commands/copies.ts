/** Copies on their way out: of one compose by hand, or all whose time is over. */
import { Effect, Option } from "effect"
import type { ComposeDetails } from "../../gateway/api/compose-views.ts"
import type { ExpiredCopyView } from "../../gateway/api/copies-api.ts"
import { Kiln } from "../client.ts"
import { commandFailed } from "../command-failed.ts"
import { confirmed } from "../confirm.ts"
import { moment } from "../moments.ts"
import { answer } from "../output.ts"
import { table } from "../table.ts"
import { bytes } from "../units.ts"

interface DeleteInput {
  readonly id: string
  readonly image: Option.Option<number>
  readonly target: Option.Option<number>
  readonly force: boolean
  readonly yes: boolean
}

export const deleteCopies = Effect.fn("deleteCopies")(function*({ force, id, image, target, yes }: DeleteInput) {
  const kiln = yield* Kiln
  const compose = yield* kiln.json<ComposeDetails>(`/composes/${id}`)
  const places = compose.images.flatMap(({ targets }, at) => targets.map(({ status, type }, place) => ({ image: at, target: place, status, type })))
    .filter((each) => each.status === "succeeded" && isWanted(image, each.image) && isWanted(target, each.target))
  if (places.length === 0) return yield* commandFailed("notFound", "Nothing of that was delivered")
  yield* confirmed(`removes what lies in ${places.length === 1 ? "1 place" : `${places.length} places`}`, yes)
  yield* Effect.forEach(places, (place) => kiln.json(`/composes/${id}/images/${place.image}/targets/${place.target}`, { method: "DELETE", query: { force: force ? "true" : undefined } }), { discard: true })
  yield* answer(places.map(({ image, target, type }) => ({ image, target, type })), () =>
    places.map((place) => `image ${place.image}, target ${place.target} (${place.type}) is being removed`))
})

const isWanted = (wanted: Option.Option<number>, is: number) => Option.isNone(wanted) || wanted.value === is

export const retention = Effect.fn("retention")(function*({ dryRun, yes }: { readonly dryRun: boolean; readonly yes: boolean }) {
  if (!dryRun) yield* confirmed("removes your copies whose time is over", yes)
  const copies = yield* (yield* Kiln).json<ReadonlyArray<ExpiredCopyView>>("/retention", { method: dryRun ? "GET" : "POST" })
  yield* answer(copies, (output) => copies.length === 0 ? ["No copy's time is over"] : [
    ...table<ExpiredCopyView>(output, [
      { title: "COMPOSE", of: ({ compose }) => compose },
      { title: "IMAGE", of: ({ image }) => String(image), right: true },
      { title: "TARGET", of: ({ target, type }) => `${target} ${type}` },
      { title: "SIZE", of: ({ size }) => bytes(size), right: true },
      { title: "DELIVERED", of: ({ delivered_at }) => moment(delivered_at, output.utc) },
      { title: "WHY", of: ({ why }) => why }
    ], copies),
    dryRun ? "They would go now" : "They are being removed"
  ])
})
