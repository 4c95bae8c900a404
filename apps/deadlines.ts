/** How long an attempt may take: its worker ends it then, and the scheduler two minutes later if that does not. */
import { Config, Schema } from "effect"
import type { JobKind } from "../domain/job.ts"

const buildMinutes = Config.schema(
  Schema.NumberFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 1, maximum: 1440 })), "KILN_BUILD_MINUTES"
).pipe(Config.withDefault(60))

const minute = 60_000
const leeway = 2 * minute

/** Milliseconds. */
export const deadlines: Config.Config<Record<JobKind, number>> = Config.map(buildMinutes, (build) =>
  ({ resolve: 10 * minute, build: build * minute, test: 45 * minute, upload: 24 * 60 * minute, delete: 15 * minute }))

/** For a worker that cannot end them by itself. */
export const lastDeadlines: Config.Config<Record<JobKind, number>> = Config.map(deadlines, (own) => ({
  resolve: own.resolve + leeway, build: own.build + leeway, test: own.test + leeway, upload: own.upload + leeway, delete: own.delete + leeway
}))
