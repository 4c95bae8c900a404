/** What a bench answers with, and how it is shown. */

/** `holds` is left out where a metric has no goal of its own. */
export interface Metric {
  readonly metric: string
  readonly value: number
  readonly unit: string
  readonly goal?: string
  readonly holds?: boolean
}

export interface BenchOptions {
  /** Jobs that wait, for the benches that have some wait. */
  readonly pending: number
  /** Of a read model, for the bench of its pages. */
  readonly rows: number
  /** In the log, for the bench that reads it whole. */
  readonly events: number
  /** Webhooks that are told of things, for the bench of those. */
  readonly webhooks: number
  /** Event streams that are open, for the bench of those. */
  readonly streams: number
  /** Whether diskimage-builder is timed beside Kiln's own builds. */
  readonly dib: boolean
}

export interface Bench {
  readonly name: string
  readonly about: string
  readonly run: (say: (line: string) => void, options: BenchOptions) => Promise<ReadonlyArray<Metric>>
}

export const atMost = (metric: string, value: number, limit: number, unit: string): Metric =>
  ({ metric, value: round(value), unit, goal: `≤ ${limit}`, holds: value <= limit })

export const atLeast = (metric: string, value: number, limit: number, unit: string): Metric =>
  ({ metric, value: round(value), unit, goal: `≥ ${limit}`, holds: value >= limit })

export const told = (metric: string, value: number, unit: string): Metric => ({ metric, value: round(value), unit })

export const percentile = (values: ReadonlyArray<number>, part: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.ceil(part * values.length) - 1)] ?? Number.NaN

const round = (value: number) => Math.round(value * 1000) / 1000

export const asLine = (bench: string, { metric, value, unit, goal, holds }: Metric): string =>
  JSON.stringify({ bench, metric, value, unit, ...(goal !== undefined && { goal, holds }) })

export const asTable = (bench: string, metrics: ReadonlyArray<Metric>): string => {
  const rows = metrics.map(({ metric, value, unit, goal, holds }) =>
    [bench, metric, String(value), unit, goal ?? "", holds === undefined ? "" : holds ? "holds" : "FALLS SHORT"])
  const all = [["bench", "metric", "value", "unit", "goal", ""], ...rows]
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)))
  return all.map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd()).join("\n")
}
