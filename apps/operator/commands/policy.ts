/** What a tenant may use: look at it, set it, go back to the policy file. */
import { Effect } from "effect"
import type { PolicyView } from "../../gateway/api/tenants-api.ts"
import { type Call, Kiln } from "../client.ts"
import { confirmed } from "../confirm.ts"
import { answer } from "../output.ts"
import { readRequest } from "../request-file.ts"
import { table } from "../table.ts"

interface PolicyInput {
  readonly tenant: string
}

export const showPolicy = ({ tenant }: PolicyInput) => policyAfter(tenant, {})

export const setPolicy = Effect.fn("setPolicy")(function*({ file, tenant }: PolicyInput & { readonly file: string }) {
  yield* policyAfter(tenant, { method: "PUT", body: yield* readRequest(file) })
})

export const clearPolicy = ({ tenant, yes }: PolicyInput & { readonly yes: boolean }) =>
  Effect.andThen(confirmed(`clears what operators have set for ${tenant}`, yes), policyAfter(tenant, { method: "DELETE" }))

interface Row {
  readonly field: string
  readonly value: unknown
  readonly from: string
}

const policyAfter = Effect.fn("policy")(function*(tenant: string, call: Call) {
  const view = yield* (yield* Kiln).json<PolicyView>(`/tenants/${encodeURIComponent(tenant)}/policy`, call)
  const rows = Object.entries(view.policy).map(([field, value]): Row =>
    ({ field, value, from: Object.hasOwn(view.set ?? {}, field) ? "set by operators" : "policy file" }))
  yield* answer(view, (output) => rows.length === 0 ? [`Nothing is limited for ${view.tenant}`] : table<Row>(output, [
    { title: "FIELD", of: ({ field }) => field },
    { title: "VALUE", of: ({ value }) => typeof value === "object" ? JSON.stringify(value) : String(value) },
    { title: "FROM", of: ({ from }) => from }
  ], rows))
})
