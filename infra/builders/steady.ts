/** What foreign tools say of how far they are: never back, never beyond the end, and no secret in any line. */
import type { Report, Secrets } from "../../domain/ports/image-builder.ts"
import { hiding } from "../process/hiding.ts"

export const steady = (report: Report, secrets: Secrets = new Map()): Report => {
  const hide = hiding(secrets.values())
  let furthest = 0
  return {
    line: (text) => report.line(hide(text)),
    progress: (progress) => {
      furthest = Math.max(furthest, Math.min(100, progress.percent))
      report.progress({ ...progress, stage: hide(progress.stage), percent: furthest })
    }
  }
}
