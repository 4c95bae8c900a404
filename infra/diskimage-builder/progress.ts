/** From disk-image-create's lines to how far it is. Pure. */

/** The phases of its hooks, in their order, by when they begin in hundredths of what it does. */
const phases: ReadonlyArray<readonly [phase: string, begins: number]> = [
  ["root.d", 2], ["extra-data.d", 38], ["pre-install.d", 40], ["install.d", 50], ["post-install.d", 84], ["post-root.d", 88],
  ["block-device.d", 89], ["pre-finalise.d", 90], ["finalise.d", 91], ["cleanup.d", 93]
]
const imageBegins = 95

const time = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \| ?/
const hook = /^dib-run-parts Running \S*\/([a-z-]+\.d)\/[^/\s]+$/
const image = /^(Converting image using|Image file \S+ created)/
const step = /^(> )?(Unpacking|Setting up|I: (Retrieving|Validating|Extracting|Unpacking|Configuring)) |^dib-run-parts \S+ completed$/

/** A line without the time before it. */
export const textOf = (line: string): string => line.replace(time, "")

/** Says for each line where the build is, where that has changed. How much a phase has to do is not known: it is neared, never reached. */
export const dibProgress = () => {
  let stage = "prepare"
  let from = 0
  let to = 2
  let steps = 0
  const at = () => ({ stage, percent: to - (to - from) * 0.99 ** steps })
  return (text: string): { readonly stage: string; readonly percent: number } | undefined => {
    const phase = phases.findIndex(([name]) => name === hook.exec(text)?.[1])
    if (phase >= 0 && phases[phase]![0] !== stage) {
      ;[stage, from] = phases[phase]!
      to = phases[phase + 1]?.[1] ?? imageBegins
      steps = 0
      return at()
    }
    if (image.test(text)) {
      stage = "image"
      from = to = imageBegins
      return at()
    }
    if (!step.test(text)) return undefined
    steps += 1
    return at()
  }
}
