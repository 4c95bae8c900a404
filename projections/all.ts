import { composeHistory } from "./compose-history.ts"
import { jobAttempts } from "./job-attempts.ts"
import type { Projection } from "./projection.ts"

/** Every read model there is, by its name. */
export const projections: ReadonlyMap<string, Projection> = new Map(
  [composeHistory, jobAttempts].map((projection) => [projection.name, projection as unknown as Projection])
)
