/** Something small that the scheduler has a worker do at a target: workers have the clouds' libraries, and operators' sets of credentials. */
import { Schema } from "effect"
import { ComposeId, JobId, TenantId } from "./ids.ts"
import { CloudResource } from "./image-copy.ts"
import { Target } from "./target.ts"

const at = {
  tenantId: TenantId,
  target: Target,
  /** The tenant's set as it was stored, where the tenant has one of that name. */
  credentials: Schema.optionalKey(Schema.String)
}

export const Errand = Schema.TaggedUnion({
  /** Say what carries this deployment's marks there. */
  Look: at,
  Remove: { ...at, resources: Schema.Array(CloudResource) }
})
export type Errand = typeof Errand.Type

export const SeenResource = Schema.Struct({
  resource: CloudResource,
  tenantId: TenantId,
  composeId: ComposeId,
  jobId: JobId,
  madeAt: Schema.optionalKey(Schema.Finite)
})
export type SeenResource = typeof SeenResource.Type

export const ErrandAnswer = Schema.TaggedUnion({
  Seen: { deployment: Schema.String, resources: Schema.Array(SeenResource) },
  Gone: {},
  Refused: { message: Schema.String }
})
export type ErrandAnswer = typeof ErrandAnswer.Type
export const { Seen, Gone, Refused } = ErrandAnswer.cases
