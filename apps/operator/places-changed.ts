/** How documents differ, a line a place. */
export interface Difference {
  readonly path: string
  readonly from?: string
  readonly to?: string
}

export const differenceLines = (differences: ReadonlyArray<Difference>): ReadonlyArray<string> =>
  differences.map(({ from, path, to }) => from === undefined ? `  + ${path}: ${to}` : to === undefined ? `  - ${path}: ${from}` : `  ~ ${path}: ${from} → ${to}`)
