/** Quotas as tenants see them, and tenants' policies, which operators of the installation set. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { TenantId } from "../../../domain/ids.ts"
import { PolicyDocument } from "../../../domain/policy-document.ts"
import { Authorization } from "./authorization.ts"
import { BadRequest, Forbidden, Unavailable } from "./problems.ts"
import { AsOfQuery } from "./queries.ts"

/** `resets_at`: when the next place becomes free, where time frees any. */
export const QuotaRule = Schema.Struct({
  rule: Schema.Literals(["composes", "stored_bytes", "running_jobs"]),
  limit: Schema.Int,
  used: Schema.Int,
  remaining: Schema.Int,
  window: Schema.optionalKey(Schema.String),
  resets_at: Schema.optionalKey(Schema.String)
}).annotate({ identifier: "QuotaRule" })
export type QuotaRule = typeof QuotaRule.Type

/** `stored_bytes` has been counted since the tenant's bytes or composes were first limited. */
export const QuotaView = Schema.Struct({
  tenant: TenantId,
  rules: Schema.Array(QuotaRule),
  running_jobs: Schema.Int,
  stored_bytes: Schema.Int
}).annotate({ identifier: "Quota" })
export type QuotaView = typeof QuotaView.Type

/** `policy` is what counts: `set` by operators before what is `standing` in the policy file, field by field. */
export const PolicyView = Schema.Struct({
  tenant: TenantId,
  policy: PolicyDocument,
  set: Schema.optionalKey(PolicyDocument),
  standing: PolicyDocument
}).annotate({ identifier: "TenantPolicy" })
export type PolicyView = typeof PolicyView.Encoded

const tenant = { params: { tenant: TenantId } }
const error = [BadRequest, Forbidden, Unavailable] as const

export class TenantsApi extends HttpApiGroup.make("tenants").add(
  HttpApiEndpoint.get("quota", "/quota", { query: AsOfQuery, success: QuotaView, error: [BadRequest, Unavailable] }).annotate(OpenApi.Summary, "The caller's own quota"),
  HttpApiEndpoint.get("tenantQuota", "/tenants/:tenant/quota", { ...tenant, query: AsOfQuery, success: QuotaView, error }).annotate(OpenApi.Summary, "A tenant's quota"),
  HttpApiEndpoint.get("policy", "/tenants/:tenant/policy", { ...tenant, success: PolicyView, error }).annotate(OpenApi.Summary, "A tenant's policy"),
  HttpApiEndpoint.put("setPolicy", "/tenants/:tenant/policy", {
    ...tenant, payload: PolicyDocument, success: PolicyView, error
  }).annotate(OpenApi.Summary, "Set a tenant's policy"),
  HttpApiEndpoint.delete("clearPolicy", "/tenants/:tenant/policy", { ...tenant, success: PolicyView, error })
    .annotate(OpenApi.Summary, "Go back to the policy file's policy")
).middleware(Authorization) {}
