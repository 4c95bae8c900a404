/** What boot tests have seen, as the newest attempt that came to a verdict has it. */
import type { TestReport } from "../../domain/boot-test.ts"
import type { ComposeEvent } from "../../domain/compose-events.ts"
import type { Compose } from "../../domain/compose-state.ts"
import { imageOf } from "../../domain/job.ts"
import type { BootView, ImageView, JobStatus } from "./api/compose-views.ts"
import { prefix } from "./api/kiln-api.ts"

export interface Verdict {
  readonly verdict: "passed" | "failed" | "skipped"
  readonly reason?: string
  readonly report?: TestReport
}

/** By image. */
export const verdictsOf = (events: ReadonlyArray<ComposeEvent>): ReadonlyMap<number, Verdict> =>
  new Map(events.flatMap((event): ReadonlyArray<readonly [number, Verdict]> => {
    if (event._tag === "JobSucceeded" && event.outcome._tag === "Tested") {
      const { _tag, ...verdict } = event.outcome
      return [[Number(imageOf(event.jobId)), verdict]]
    }
    return event._tag === "JobFailed" && event.report !== undefined ? [[Number(imageOf(event.jobId)), { verdict: "failed", report: event.report }]] : []
  }))

export const testView = ({ composeId }: Compose, image: number, status: JobStatus | undefined, seen: Verdict | undefined): Pick<ImageView, "test"> => {
  if (status === undefined) return {}
  const at = (firmware: string, name: string) => `${prefix}/composes/${composeId}/images/${image}/boots/${firmware}/${name}`
  const { reason, report, verdict } = seen ?? {}
  return {
    test: {
      status,
      ...(verdict !== undefined && { verdict }),
      ...(reason !== undefined && { reason }),
      ...(report !== undefined && {
        accelerator: report.accelerator,
        boots: report.boots.map(({ checks, firmware, passed, readyMs, screenshot, tookMs }): BootView => ({
          firmware, passed,
          ...(readyMs !== undefined && { ready_seconds: readyMs / 1000 }),
          took_seconds: tookMs / 1000,
          checks,
          console: at(firmware, "console.txt"),
          ...(screenshot !== undefined && { screenshot: at(firmware, "screenshot.png") })
        }))
      })
    }
  }
}
