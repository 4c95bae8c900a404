/** Points in time: shown in this machine's zone, read as people write them. */

/** `2026-01-31 13:00:00 +01:00`; with `utc`, `2026-01-31 12:00:00 Z`. */
export const moment = (iso: string | undefined, utc: boolean): string => {
  if (iso === undefined) return ""
  const time = new Date(iso)
  if (Number.isNaN(time.getTime())) return iso
  const offset = utc ? 0 : -time.getTimezoneOffset()
  const [date, clock] = new Date(time.getTime() + offset * 60_000).toISOString().slice(0, 19).split("T")
  return `${date} ${clock} ${utc ? "Z" : zone(offset)}`
}

/** In a zone of that name: `2026-01-31 13:00:00 +01:00 Europe/Berlin`. */
export const momentIn = (iso: string, timeZone: string): string => {
  const parts = new Intl.DateTimeFormat("en-CA", {
    timeZone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZoneName: "longOffset"
  }).formatToParts(new Date(iso))
  const part = (type: Intl.DateTimeFormatPartTypes) => parts.find((each) => each.type === type)?.value ?? ""
  const offset = part("timeZoneName").replace("GMT", "") || "+00:00"
  return `${part("year")}-${part("month")}-${part("day")} ${part("hour")}:${part("minute")}:${part("second")} ${offset} ${timeZone}`
}

/** The time of day alone, for lines that appear as things happen. */
export const timeOfDay = (millis: number, utc: boolean): string => moment(new Date(millis).toISOString(), utc).slice(11, 19)

const zone = (minutes: number): string => {
  const two = (n: number) => String(Math.floor(n)).padStart(2, "0")
  return `${minutes < 0 ? "-" : "+"}${two(Math.abs(minutes) / 60)}:${two(Math.abs(minutes) % 60)}`
}

const unitMillis = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const

/** `90s`, `15m`, `2h`, `30d`, `1w`. */
export const durationMillis = (text: string): number | undefined => {
  const parts = /^(\d{1,9})(s|m|h|d|w)$/.exec(text)
  return parts === null ? undefined : Number(parts[1]) * unitMillis[parts[2] as keyof typeof unitMillis]
}

/** RFC 3339, a date or date and time of this machine's zone, or so long ago (`2h`). Answers RFC 3339 in UTC. */
export const readMoment = (text: string, now: number): string | undefined => {
  const ago = durationMillis(text)
  if (ago !== undefined) return new Date(now - ago).toISOString()
  if (!/^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?( ?(Z|[+-]\d\d:\d\d))?)?$/i.test(text)) return undefined
  const local = text.length === 10 ? `${text}T00:00:00` : text.replace(" ", "T").replace(" ", "")
  const time = new Date(local.toUpperCase())
  return Number.isNaN(time.getTime()) ? undefined : time.toISOString()
}
