/** What is done with what carries our marks in a cloud. Pure: clock and notes come with the question. */
import type { Compose } from "./compose-state.ts"
import { isOfCopy, leftoverKey } from "./leftovers.ts"
import { type Place, placeKey } from "./places.ts"
import type { Marked } from "./ports/image-targets.ts"

/** `owned`: by a compose that is open, or by a copy. `unknown`: by nobody that this log knows of, so it is nothing of ours to remove. */
export type Standing = "owned" | "leftover" | "unknown"

export const standingOf = (compose: Compose, { marks: { jobId }, resource }: Pick<Marked, "marks" | "resource">): Standing => {
  if (compose.jobs.get(jobId)?.kind !== "upload") return "unknown"
  return compose.status === "open" || isOfCopy(compose, jobId, resource) ? "owned" : "leftover"
}

/** Seen at a place, and owned by nobody. */
export interface Found {
  readonly place: Place
  readonly marked: Marked
  readonly standing: Exclude<Standing, "owned">
  /** When something happened to its compose last. */
  readonly changedAt: number
}

/** What the first pass has found; `place` is its key. */
export interface Note {
  readonly place: string
  readonly at: number
}
export type Notes = ReadonlyMap<string, Note>

/** `noted`: seen for the first time; `waiting`: too young a note; `due`: goes now; `unknown`: is shown and stays. */
export type Verdict = "noted" | "waiting" | "due" | "unknown"

export interface Judged extends Found {
  readonly key: string
  readonly verdict: Verdict
  readonly notedAt: number | undefined
}

export const foundKey = ({ marked: { marks: { composeId, jobId, tenantId }, resource }, place: { target } }: Pick<Found, "marked" | "place">): string =>
  `${tenantId} ${target.type} ${target.credentials ?? ""} ${composeId} ${leftoverKey(jobId, resource)}`

/** In the order in which it was found; what two places show is one thing. */
export const judge = (found: ReadonlyArray<Found>, notes: Notes, now: number, afterMs: number): ReadonlyArray<Judged> => {
  const once = new Map<string, Found>()
  for (const each of found) {
    const key = foundKey(each)
    if (!once.has(key)) once.set(key, each)
  }
  return [...once].map(([key, each]): Judged => {
    if (each.standing === "unknown") return { ...each, key, verdict: "unknown", notedAt: undefined }
    const notedAt = notes.get(key)?.at
    // What has come, or has been tried again, since the first pass is not what that saw.
    if (notedAt === undefined || notedAt < Math.max(each.changedAt, each.marked.madeAt ?? 0)) return { ...each, key, verdict: "noted", notedAt: now }
    return { ...each, key, verdict: now - notedAt >= afterMs ? "due" : "waiting", notedAt }
  })
}

/** The notes for the next sweep: of what is there yet, and of places that could not be looked at. */
export const notesAfter = (judged: ReadonlyArray<Judged>, before: Notes, seen: ReadonlySet<string>): Notes => {
  const unseen = [...before].filter(([, { place }]) => !seen.has(place))
  const noted = judged.flatMap(({ key, notedAt, place }): ReadonlyArray<[string, Note]> =>
    notedAt === undefined ? [] : [[key, { place: placeKey(place), at: notedAt }]])
  return new Map([...unseen, ...noted])
}

/** What one delivery has left, in the order in which it has to go; nothing of it goes before all of it may. */
export const dueDeliveries = (judged: ReadonlyArray<Judged>): ReadonlyArray<readonly [Judged, ...Array<Judged>]> => {
  const deliveries = Map.groupBy(judged, ({ marked: { marks: { composeId, jobId } }, place }) => `${placeKey(place)} ${composeId} ${jobId}`)
  return [...deliveries.values()].flatMap(([first, ...rest]) =>
    first !== undefined && [first, ...rest].every(({ verdict }) => verdict === "due") ? [[first, ...rest] as const] : []) as ReadonlyArray<readonly [Judged, ...Array<Judged>]>
}
