/** Who may do what only operators may. */
import { Effect } from "effect"
import type { TenantId } from "../../domain/ids.ts"
import type { Identity } from "../../domain/ports/tokens.ts"
import { CurrentIdentity } from "./api/authorization.ts"
import { Forbidden } from "./api/problems.ts"

/** A tenant may have operators of its own, who may not raise its limits: those belong to the installation's. */
const isOperator = ({ role, tenantId }: Identity, operatorTenant: string): boolean => role === "operator" && tenantId === operatorTenant

export const operator = (operatorTenant: string) =>
  Effect.filterOrFail(CurrentIdentity, (identity) => isOperator(identity, operatorTenant),
    () => new Forbidden({ detail: "only operators of the installation may do this" }))

/** To look at their own tenant is open to operators of each. */
export const operatorOf = (operatorTenant: string, tenantId: TenantId) =>
  Effect.filterOrFail(CurrentIdentity,
    (identity) => isOperator(identity, operatorTenant) || (identity.role === "operator" && identity.tenantId === tenantId),
    () => new Forbidden({ detail: "only operators, of the installation or of this tenant, may see this" }))
