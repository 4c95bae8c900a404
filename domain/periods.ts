/**
 * Which time of the log an aggregate belongs to. Composes lie in streams of their own for each period, by the time that
 * their ids carry, so that a past period can be sealed and archived; all else lies in streams that never end.
 */
import { Schema } from "effect"
import type { AggregateKind, AggregateRef } from "./recorded.ts"

/** Calendar months in UTC, or spans of so many milliseconds, counted from 1970. */
export const PeriodLength = Schema.Union([Schema.Literal("month"), Schema.Int.check(Schema.isGreaterThanOrEqualTo(1000))])
export type PeriodLength = typeof PeriodLength.Type

/** Fixed when the log is first made, or first opened by a Kiln that knows of periods. What was asked for before `from` is of no period. */
export const Layout = Schema.Struct({ period: PeriodLength, from: Schema.Int })
export type Layout = typeof Layout.Type

export interface Period {
  /** One token of a subject: `2026-11`, or when it begins: `20261121t180000`. */
  readonly name: string
  readonly from: number
  /** When the next begins. */
  readonly to: number
}

export const periodAt = (length: PeriodLength, at: number): Period => length === "month" ? monthAt(at) : spanAt(length, at)

const monthAt = (at: number): Period => {
  const day = new Date(at)
  const [year, month] = [day.getUTCFullYear(), day.getUTCMonth()]
  return { name: day.toISOString().slice(0, 7), from: Date.UTC(year, month), to: Date.UTC(year, month + 1) }
}

const spanAt = (length: number, at: number): Period => {
  const from = Math.floor(at / length) * length
  return { name: new Date(from).toISOString().replace(/[-:Z]|\.\d*/g, "").toLowerCase() + subSecond(from), from, to: from + length }
}

const subSecond = (from: number): string => from % 1000 === 0 ? "" : String(from % 1000).padStart(3, "0")

/** A log that has nothing in it yet has periods from the one of today; one that has gets them when all processes have heard of it. */
export const layoutFor = (period: PeriodLength, now: number, isEmpty: boolean): Layout => {
  const today = periodAt(period, now)
  if (isEmpty) return { period, from: today.from }
  const notice = Math.min(noticeMs, today.to - today.from)
  return { period, from: today.to - now >= notice ? today.to : periodAt(period, today.to).to }
}

/** A rolling upgrade takes no longer. */
const noticeMs = 3_600_000

/** When an id was made, if it says so: in its first 48 bits, where it is of version 7. */
export const madeAt = (id: string): number | undefined =>
  id.length === 36 && id[14] === "7" ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) : undefined

/** Whoever asks for an id of a later year has made it up. */
const endOfTime = Date.UTC(9999, 0)

/** Those of whose ids each has one short life. */
const periodic: ReadonlySet<AggregateKind> = new Set(["compose"])
export const isPeriodic = (kind: AggregateKind): boolean => periodic.has(kind)

/** The period that an aggregate belongs to for good; none for what lives long, has an id that tells no time, or is of before. */
export const makePeriodOf = ({ from, period }: Layout): (ref: AggregateRef) => Period | undefined => {
  let last: Period | undefined
  return ({ aggregate, id }) => {
    if (!periodic.has(aggregate)) return undefined
    const at = madeAt(id)
    if (at === undefined || at < from || at >= endOfTime) return undefined
    if (last === undefined || at < last.from || at >= last.to) last = periodAt(period, at)
    return last
  }
}

/** A period's stream, by the name of the one that never ends; that has no hyphen. */
export const streamIn = (lasting: string, { name }: Pick<Period, "name">): string => `${lasting}-${name}`
export const isOfPeriod = (stream: string): boolean => stream.includes("-")
