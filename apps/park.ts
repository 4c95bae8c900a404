/** Puts aside what cannot be taken in, says so once, and lets the rest go on. */
import { Effect } from "effect"
import { Millis } from "../domain/ids.ts"
import { Parked, type ParkedItem } from "../domain/ports/parked.ts"
import type { Unreadable } from "../domain/recorded.ts"

export const park = (item: Omit<ParkedItem, "at">) =>
  Effect.gen(function*() {
    yield* Effect.logError("put aside, since it cannot be taken in", item)
    yield* (yield* Parked).park({ ...item, at: Millis.make(Date.now()) })
  }).pipe(Effect.catch((error) => Effect.logWarning(error.message)))

export const parkEntry = (by: string, { position, reason, ref, subject }: Unreadable) =>
  park({
    what: "event", by, where: `${position.stream} ${position.sequence} ${subject}`, reason,
    ...(ref !== undefined && { tenantId: ref.tenantId, ...(ref.aggregate === "compose" && { composeId: ref.id }) })
  })
