/** The identity that a worker has from where it runs: a pod's workload identity, or the machine's managed one. No key is at hand. */
import type { TokenCredential } from "@azure/identity"
import { Effect } from "effect"
import type { CredentialsOf } from "../../../domain/credentials.ts"
import { agentsFor } from "../agents.ts"
import { tellingWhy } from "./no-token.ts"

type AzureSet = Pick<CredentialsOf<"azure">, "client_id" | "tenant_id">

/** No proxy leads to the machine's own service. The library keeps the first connections that it is given, and tokens, for the whole process. */
const { http: near } = agentsFor({ publicOnly: false, proxied: false })

/** What the machine's own service says while it is not ready: identities arrive late, and it is replaced now and then. */
const notYet = [404, 410]

/** `options`: of the login. What a cluster has written into a pod's environment goes before the machine's service. */
export const ownIdentity = Effect.fnUntraced(function*(
  { client_id, tenant_id }: AzureSet, options: object
): Effect.fn.Return<TokenCredential> {
  const { AZURE_CLIENT_ID, AZURE_FEDERATED_TOKEN_FILE: tokenFilePath, AZURE_TENANT_ID } = process.env
  const { ManagedIdentityCredential, WorkloadIdentityCredential } = yield* Effect.promise(() => import("@azure/identity"))
  const [clientId, tenantId] = [client_id ?? AZURE_CLIENT_ID, tenant_id ?? AZURE_TENANT_ID]
  if (tokenFilePath && clientId && tenantId) return tellingWhy(new WorkloadIdentityCredential({ clientId, tenantId, tokenFilePath, ...options }))
  const ofMachine = { agent: near, retryOptions: { maxRetries: 0 }, ...(client_id !== undefined && { clientId: client_id }) }
  return tellingWhy(new ManagedIdentityCredential(ofMachine), notYet)
})
