/** The part of a file that a `Range` header asks for (RFC 9110, section 14). */

/** Bytes from `start` up to and with `end`. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** `undefined` is the whole file: no range, one we do not understand, or several at once, which a server may ignore. */
export const byteRange = (header: string | undefined, size: number): ByteRange | "unsatisfiable" | undefined => {
  const [, first, last] = /^bytes=\s*(\d{0,15})\s*-\s*(\d{0,15})\s*$/i.exec(header ?? "") ?? []
  if (first === undefined || last === undefined || (first === "" && last === "")) return undefined
  const range = first === ""
    ? { start: Math.max(0, size - Number(last)), end: size - 1 }
    : { start: Number(first), end: last === "" ? size - 1 : Math.min(Number(last), size - 1) }
  if (first !== "" && last !== "" && Number(last) < Number(first)) return undefined
  return range.start >= size || (first === "" && Number(last) === 0) ? "unsatisfiable" : range
}
