/** Where a command's words go, and what the place they go to can show. */
import { Context, Effect } from "effect"

export interface OutputShape {
  /** Programs read: documents instead of tables. */
  readonly json: boolean
  readonly utc: boolean
  /** Somebody watches: lines may be drawn again. */
  readonly terminal: boolean
  readonly columns: () => number
  readonly colours: boolean
  readonly write: (text: string) => void
  readonly writeError: (text: string) => void
}

export class Output extends Context.Service<Output, OutputShape>()("operator/Output") {}

interface Wishes {
  readonly json: boolean
  readonly utc: boolean
}

/** This process's own streams. */
export const outputOf = (wishes: Wishes): OutputShape => {
  const terminal = process.stdout.isTTY === true && process.env["TERM"] !== "dumb"
  return {
    ...wishes,
    terminal,
    columns: () => process.stdout.columns || 80,
    colours: terminal && !process.env["NO_COLOR"],
    write: (text) => void process.stdout.write(text),
    writeError: (text) => void process.stderr.write(text)
  }
}

export type MakeOutput = (wishes: Wishes) => OutputShape

export const MakeOutput = Context.Reference<MakeOutput>("operator/MakeOutput", { defaultValue: () => outputOf })

export const print = (...lines: ReadonlyArray<string>) =>
  Effect.map(Output, ({ write }) => write(lines.map((line) => `${line}\n`).join("")))

/** One document for programs, or the lines that `people` makes. */
export const answer = <A>(document: A, people: (output: OutputShape) => ReadonlyArray<string>) =>
  Effect.flatMap(Output, (output) =>
    output.json ? print(JSON.stringify(document, undefined, 2)) : print(...people(output)))

export const paint = {
  green: "32", red: "31", yellow: "33", cyan: "36", dim: "2", bold: "1"
} as const
export type Paint = keyof typeof paint

export const painted = (output: Pick<OutputShape, "colours">, colour: Paint | undefined, text: string) =>
  output.colours && colour !== undefined ? `\u001b[${paint[colour]}m${text}\u001b[0m` : text

/** What others wrote may hold escape sequences that would move the cursor or worse; a tab is two blanks. */
// oxlint-disable-next-line no-control-regex
export const harmless = (text: string) => text.replaceAll("\t", "  ").replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, "\ufffd")

const statusColours: Record<string, Paint> = {
  succeeded: "green", failed: "red", canceled: "yellow", running: "cyan", lost: "red", working: "cyan", draining: "yellow", silent: "red"
}

export const paintedStatus = (output: Pick<OutputShape, "colours">, status: string) =>
  painted(output, statusColours[status], status)
