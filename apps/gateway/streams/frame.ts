/** A part of what is told about a compose, in the bytes that all of its readers get. */
import type { JobId } from "../../../domain/ids.ts"
import type { Failure } from "../../../domain/job.ts"
import type { ComposeRow } from "../../../projections/compose-history.ts"
import type { Cursor, Told } from "../follower.ts"
import { cursorText, ended, printed, statusText } from "../sse.ts"
import type { Sized } from "./window.ts"

export interface Frame extends Sized {
  /** Its end is the id, where it has one. */
  readonly bytes: Buffer
  readonly withoutId: number
  /** Where to go on after it; nothing goes on after the end. */
  readonly cursor?: Cursor
  readonly revision?: number
  readonly sequence?: number
  readonly lines?: { readonly job: JobId; readonly text: ReadonlyArray<string> }
}

/** An object, a buffer and what they belong to. */
const overhead = 300

export const frameOf = (told: Told): Frame => {
  const { cursor } = told
  const [text, own] = told._tag === "Decided"
    ? [statusText(told), { revision: told.recorded.revision }]
    : [printed(told.item), { sequence: told.item.sequence, lines: { job: told.item.jobId, text: told.item.lines } }]
  const bytes = Buffer.from(`${text}${idLine(cursor)}`)
  const size = (told._tag === "Printed" ? 2 : 1) * bytes.length + overhead
  return { bytes, withoutId: Buffer.byteLength(text), cursor, size, ...own }
}

export const endFrame = ({ failure, status }: ComposeRow): Frame => {
  const bytes = Buffer.from(ended(status, failure as Failure | null))
  return { bytes, withoutId: bytes.length, size: bytes.length + overhead }
}

const idLine = (cursor: Cursor) => `id: ${cursorText(cursor)}\n\n`

/** What it is to a reader who goes on from there: nothing if that has been told already, and never an id that goes back. */
export const eventsFrom = (from: Cursor) => ({ bytes, cursor, revision, sequence, withoutId }: Frame): Buffer | string | undefined => {
  if (isKnown({ revision, sequence }, from)) return undefined
  if (cursor === undefined || (cursor.revision >= from.revision && cursor.sequence >= from.sequence)) return bytes
  return `${bytes.toString("utf8", 0, withoutId)}${idLine(latest(cursor, from))}`
}

/** Its lines alone, of one job or of all. */
export const linesOf = (job: JobId | undefined) => (from: Cursor) => (frame: Frame): string | undefined => {
  const { lines } = frame
  if (lines === undefined || isKnown(frame, from) || (job !== undefined && lines.job !== job)) return undefined
  return lines.text.map((line) => `${line}\n`).join("")
}

const isKnown = ({ revision = Infinity, sequence = Infinity }: { readonly revision?: number | undefined; readonly sequence?: number | undefined }, from: Cursor) =>
  revision <= from.revision || sequence <= from.sequence

export const latest = (one: Cursor, other: Cursor): Cursor =>
  ({ revision: Math.max(one.revision, other.revision), sequence: Math.max(one.sequence, other.sequence) })
