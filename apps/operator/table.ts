/** Aligned columns for people. */
import { harmless, painted, type OutputShape } from "./output.ts"

export interface Column<Row> {
  readonly title: string
  readonly of: (row: Row) => string
  /** Colours it after its width is known. */
  readonly paint?: (text: string, row: Row) => string
  readonly right?: boolean
  /** Gives way when the terminal is too narrow. */
  readonly shrinks?: boolean
}

const gap = "  "

export const table = <Row>(output: OutputShape, columns: ReadonlyArray<Column<Row>>, rows: ReadonlyArray<Row>) => {
  const cells = rows.map((row) => columns.map((column) => harmless(column.of(row))))
  const widths = fitted(output, columns, columns.map(({ title }, at) => Math.max(title.length, ...cells.map((row) => row[at]!.length))))
  const place = (text: string, at: number) => {
    const cut = text.length > widths[at]! ? `${text.slice(0, widths[at]! - 1)}…` : text
    if (columns[at]!.right === true) return [" ".repeat(widths[at]! - cut.length), cut, ""] as const
    return ["", cut, at === columns.length - 1 ? "" : " ".repeat(widths[at]! - cut.length)] as const
  }
  const line = (texts: ReadonlyArray<string>, paint: (text: string, at: number) => string) =>
    texts.map((text, at) => {
      const [before, cut, after] = place(text, at)
      return before + paint(cut, at) + after
    }).join(gap).trimEnd()
  return [
    line(columns.map(({ title }) => title), (text) => painted(output, "dim", text)),
    ...cells.map((row, at) => line(row, (text, column) => columns[column]!.paint?.(text, rows[at]!) ?? text))
  ]
}

/** Only on a terminal is there a width to fit; a pipe gets everything. */
const fitted = <Row>(output: OutputShape, columns: ReadonlyArray<Column<Row>>, widths: ReadonlyArray<number>) => {
  if (!output.terminal) return widths
  let tooMuch = widths.reduce((sum, width) => sum + width, 0) + gap.length * (widths.length - 1) - output.columns()
  return widths.map((width, at) => {
    if (tooMuch <= 0 || columns[at]!.shrinks !== true) return width
    const less = Math.min(tooMuch, Math.max(width - 8, 0))
    tooMuch -= less
    return width - less
  })
}

/** `label  value` lines; a label without a value is left out. */
export const facts = (output: OutputShape, pairs: ReadonlyArray<readonly [label: string, value: string | undefined]>) => {
  const known = pairs.filter((pair): pair is readonly [string, string] => pair[1] !== undefined && pair[1] !== "")
  const width = Math.max(0, ...known.map(([label]) => label.length))
  return known.map(([label, value]) => `${painted(output, "dim", label.padEnd(width))}  ${value}`)
}
