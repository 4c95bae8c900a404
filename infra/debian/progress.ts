/** From a tool's lines to how far it is. Pure. */

/** mmdebstrap's phases by when they begin, in hundredths; dpkg's lines fill the two long ones. */
const phases: ReadonlyArray<readonly [RegExp, number]> = [
  [/^I: running apt-get update/, 1],
  [/^I: downloading packages/, 3],
  [/^I: extracting archives/, 6],
  [/^I: installing essential packages/, 22],
  [/^I: installing remaining packages/, 45],
  [/^I: cleaning package lists/, 94],
  [/^I: creating tarball/, 95],
  [/^I: success/, 100]
]

/** Says for each line of mmdebstrap how much of the base tree is made, in percent, where that has changed. */
export const baseProgress = (packages: number) => {
  let percent = 0
  let from = 0
  let to = 0
  let seen = 0
  return (line: string): number | undefined => {
    const begun = phases.findIndex(([pattern]) => pattern.test(line))
    if (begun >= 0) {
      percent = from = phases[begun]![1]
      to = phases[begun + 1]?.[1] ?? 100
      seen = 0
      return percent
    }
    if (!/^(Unpacking|Setting up) /.test(line) || to === 0) return undefined
    const next = Math.min(to, from + Math.floor(((to - from) * ++seen) / (2 * packages)))
    if (next === percent) return undefined
    percent = next
    return percent
  }
}

export const stageOf = (line: string): string | undefined => /^kiln-stage ([a-z-]+)$/.exec(line)?.[1]
