/** Something small that the scheduler has a worker do at a target: workers have the clouds' libraries, and operators' sets of credentials. */
import { Schema } from "effect"
import { ComposeId, JobId, TenantId, WorkerId } from "./ids.ts"
import { CloudResource, ImageCopy } from "./image-copy.ts"
import { Target } from "./target.ts"

const linked = { copy: ImageCopy, seconds: Schema.Int }

const at = {
  tenantId: TenantId,
  target: Target,
  /** The tenant's set as it was stored, where the tenant has one of that name. */
  credentials: Schema.optionalKey(Schema.String)
}

export const Errand = Schema.TaggedUnion({
  /** Say what carries this deployment's marks there. */
  Look: at,
  Remove: { ...at, resources: Schema.Array(CloudResource) },
  /** Try what a delivery would do, and leave nothing behind. */
  Check: at,
  /** Sign a link to a copy, for so many seconds. */
  Link: { ...at, ...linked }
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
  /** As of an `Obstacle`. */
  Checked: { obstacles: Schema.Array(Schema.Struct({ what: Schema.String, problem: Schema.String })).check(Schema.isMaxLength(100)) },
  Linked: { url: Schema.String },
  Refused: { message: Schema.String }
})
export type ErrandAnswer = typeof ErrandAnswer.Type
export const { Seen, Gone, Checked, Linked, Refused } = ErrandAnswer.cases

/** What a gateway may have done for a tenant. */
export const AskedErrand = Schema.TaggedUnion({ Check: { target: Target }, Link: { target: Target, ...linked } })
export type AskedErrand = typeof AskedErrand.Type

/** `worker`: who was sent; absent where nobody could be. */
export const SentErrand = Schema.Struct({ worker: Schema.optionalKey(WorkerId), answer: ErrandAnswer })
export type SentErrand = typeof SentErrand.Type
