/** How far a reader of a tenant's events has come, and the id that says so. */
import { isOfPeriod } from "../../../domain/periods.ts"
import type { EventLog } from "../../../domain/ports/event-log.ts"

/** The last sequence of each stream of the log. */
export type Place = ReadonlyMap<string, number>

type Log = Pick<EventLog["Service"], "streams" | "isSealed">

const wholly = Number.MAX_SAFE_INTEGER

/**
 * `EVENTS:1204,EVENTS-2026-11:77`: streams of the log and the sequence in each. A stream that was sealed before is left out:
 * it is read to its end before all others. That of the newest period is always there, so what is left out and newer was not
 * there yet; those that never end say nothing of that, being as old as the log and at the end of its list.
 */
export const placeText = ({ isSealed, streams }: Log, place: Place): string => {
  const newest = streams.findLast(isOfPeriod)
  return streams.filter((stream) => stream === newest || !isSealed(stream)).map((stream) => `${stream}:${place.get(stream) ?? 0}`).join(",")
}

export const placeOf = ({ streams }: Log, text: string): Place | undefined => {
  const named = new Map<string, number>()
  for (const each of text.split(",")) {
    const [, stream, sequence] = /^([A-Za-z0-9_-]{1,60}):(\d{1,15})$/.exec(each) ?? []
    if (stream === undefined || !streams.includes(stream)) return undefined
    named.set(stream, Number(sequence))
  }
  const newest = streams.findLastIndex((stream) => isOfPeriod(stream) && named.has(stream))
  return new Map(streams.map((stream, at) => [stream, named.get(stream) ?? (at < newest ? wholly : 0)]))
}

/** As far as either. */
export const farthest = (one: Place, other: Place): Place => {
  const place = new Map(one)
  for (const [stream, sequence] of other) if (sequence > (place.get(stream) ?? 0)) place.set(stream, sequence)
  return place
}

/** Whether nothing up to the other is missing. */
export const reaches = (place: Place, other: Place): boolean =>
  [...other].every(([stream, sequence]) => (place.get(stream) ?? 0) >= sequence)
