/** The last lines of a terminal, drawn again in place. */
import type { OutputShape } from "./output.ts"

export interface Screen {
  /** Puts lines above the frame; they stay. */
  readonly keep: (lines: ReadonlyArray<string>) => void
  /** Replaces the frame. */
  readonly draw: (lines: ReadonlyArray<string>) => void
}

const escape = "\u001b["

/** A frame's lines must not be wider than the terminal. */
export const screenOn = ({ write }: Pick<OutputShape, "write">): Screen => {
  let frame: ReadonlyArray<string> = []
  const replace = (kept: ReadonlyArray<string>, next: ReadonlyArray<string>) => {
    const back = frame.length === 0 ? "" : `${escape}${frame.length}A`
    // One write, so that no half-drawn frame is ever seen.
    write(`${back}\r${escape}J${[...kept, ...next].map((line) => `${line}\n`).join("")}`)
    frame = next
  }
  return { keep: (lines) => replace(lines, frame), draw: (lines) => replace([], lines) }
}
