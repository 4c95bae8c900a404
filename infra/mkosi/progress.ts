/** From mkosi's log to how far it is. Pure. */

/** Steps by the words they begin with, the stage they belong to, and when they begin, in hundredths. */
const steps: ReadonlyArray<readonly [words: RegExp, stage: string, percent: number]> = [
  [/^Syncing package manager metadata/, "metadata", 3],
  [/^Building .+ image$/, "prepare", 6],
  [/^Copying in (base|skeleton|sandbox)/, "prepare", 8],
  [/^Installing extra packages/, "packages", 35],
  [/^Installing /, "base-system", 10],
  [/^Running (prepare|sync|configure) script/, "prepare", 45],
  [/^Running build script/, "build-scripts", 50],
  [/^Running postinstall script/, "customize", 60],
  [/^(Copying in|Generating (system users|volatile files|locales|hardware database)|Applying )/, "customize", 62],
  [/^(Building .+ initrd|Generating unified kernel image)/, "boot", 70],
  [/^Running finalize script/, "customize", 78],
  [/^(Cleaning|Removing) /, "clean", 80],
  [/^(Formatting|Building disk|Generating disk|Creating .*(archive|tar|cpio)|Normalizing)/i, "image", 84],
  [/^Compressing /, "compress", 92],
  [/^(Calculating SHA256SUMS|Saving manifest)/, "checksums", 97]
]

/** From version 26 on, the name of the image follows. */
const mark = /^‣ +(\[[^\]]+\] +)?/
// eslint-disable-next-line no-control-regex
const codes = /\u001b(\[[0-9;]*[A-Za-z]|\][^\u0007\u001b]*(\u0007|\u001b\\))/g

/** A line without colours and the mark before a step; `isStep` tells whether it had the mark. */
export const wordsOf = (line: string): { readonly text: string; readonly isStep: boolean } => {
  const plain = line.replace(codes, "")
  return { text: plain.replace(mark, ""), isStep: mark.test(plain) }
}

export const mkosiProgress = (line: string): { readonly stage: string; readonly percent: number } | undefined => {
  const { isStep, text } = wordsOf(line)
  const step = isStep ? steps.find(([words]) => words.test(text)) : undefined
  return step && { stage: step[1], percent: step[2] }
}
