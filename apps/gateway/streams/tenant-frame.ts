/** One decision as readers of a tenant's events are told of it. */
import type { Occurrence } from "../../../domain/occurrences.ts"
import { cloudEvent } from "../../../domain/occurrences.ts"
import type { Recorded } from "../../../domain/recorded.ts"
import { matchesType } from "../../../domain/webhook-settings.ts"
import { farthest, type Place, reaches } from "./place.ts"
import type { Sized } from "./window.ts"

export interface TenantFrame extends Sized {
  readonly stream: string
  readonly sequence: number
  /** How far somebody has come with it. */
  readonly place: Place
  readonly told: ReadonlyArray<Pick<Occurrence, "type" | "about"> & { readonly text: string }>
}

/** All that is given has to hold. `labels`: `name`, or `name=value`. */
export interface TenantFilter {
  readonly types?: ReadonlyArray<string> | undefined
  readonly labels?: ReadonlyArray<string> | undefined
}

const overhead = 400

/** Nothing that is meant for one webhook alone. */
export const tenantFrame = (deployment: string, recorded: Recorded, occurrences: ReadonlyArray<Occurrence>, place: Place): TenantFrame | undefined => {
  const { position: { sequence, stream }, tenantId } = recorded
  const told = occurrences.filter(({ only }) => only === undefined).map((occurrence) => {
    const { about, type } = occurrence
    return { type, ...(about !== undefined && { about }), text: `event: ${type}\ndata: ${cloudEvent(deployment, tenantId, occurrence)}\n` }
  })
  if (told.length === 0) return undefined
  return { stream, sequence, place, told, size: overhead + told.reduce((size, { text }) => size + text.length, 0) }
}

/** To a reader who goes on from there. The id comes with the last event of a decision: who breaks off before it gets all of them again. */
export const tenantEventsFrom = (from: Place, { labels = [], types }: TenantFilter, textOf: (place: Place) => string) => {
  const asked = (each: TenantFrame["told"][number]) => matchesType(types, each.type) && labels.every((label) => hasLabel(each, label))
  return ({ place, sequence, stream, told }: TenantFrame): string | undefined => {
    if (sequence <= (from.get(stream) ?? 0)) return undefined
    const wanted = told.filter(asked)
    if (wanted.length === 0) return undefined
    return `${wanted.map(({ text }) => text).join("\n")}id: ${textOf(reaches(place, from) ? place : farthest(place, from))}\n\n`
  }
}

/** What is about no compose has no labels. */
const hasLabel = ({ about }: Pick<Occurrence, "about">, label: string): boolean => {
  const [, name, value] = /^([^=]*)(?:=(.*))?$/s.exec(label)! as unknown as [string, string, string | undefined]
  const labels = about?.labels ?? {}
  return Object.hasOwn(labels, name) && (value === undefined || labels[name] === value)
}
