import { accounts } from "./accounts.ts"
import { audit } from "./audit.ts"
import { blueprintVersions } from "./blueprint-versions.ts"
import { blueprints } from "./blueprints.ts"
import { composeHistory } from "./compose-history.ts"
import { images } from "./images.ts"
import { jobAttempts } from "./job-attempts.ts"
import { pipelines } from "./pipelines.ts"
import type { Projection } from "./projection.ts"

/** Every read model there is, by its name. */
export const projections: ReadonlyMap<string, Projection> = new Map(
  [composeHistory, jobAttempts, images, accounts, audit, blueprints, blueprintVersions, pipelines].map((projection) => [projection.name, projection as unknown as Projection])
)
