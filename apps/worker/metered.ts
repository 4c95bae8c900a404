/** A report that also says how fast bytes go. */
import type { Progress, Report } from "../../domain/ports/image-builder.ts"

const windowMs = 10_000

interface Mark {
  readonly stage: string
  readonly at: number
  readonly bytes: number
}

/** Over the last seconds: what was there already when an attempt began is no speed. */
export const metered = (report: Report, now: () => number = Date.now): Report => {
  let marks: Array<Mark> = []
  const rateOf = ({ bytesDone, stage }: Progress): number | undefined => {
    if (bytesDone === undefined) return undefined
    const at = now()
    marks = marks.filter((mark) => mark.stage === stage && mark.bytes <= bytesDone)
    while (marks.length > 1 && marks[1]!.at <= at - windowMs) marks.shift()
    const first = marks[0]
    marks.push({ stage, at, bytes: bytesDone })
    return first === undefined || at - first.at < 1000 ? undefined : Math.round((bytesDone - first.bytes) / (at - first.at) * 1000)
  }
  return {
    line: (text) => report.line(text),
    progress: (progress) => {
      const bytesPerSecond = rateOf(progress)
      report.progress({ ...progress, ...(bytesPerSecond !== undefined && { bytesPerSecond }) })
    }
  }
}
