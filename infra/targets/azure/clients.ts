/** Azure's clients for one delivery, with the credentials that were given and no others. */
import type { Agent } from "node:http"
import type { TokenCredential } from "@azure/identity"
import { Effect, Schedule } from "effect"
import type { Credentials, CredentialsOf } from "../../../domain/credentials.ts"
import { BuildFailed } from "../../../domain/ports/image-builder.ts"
import { AttemptMeter } from "../../../domain/ports/meter.ts"
import type { TargetOf } from "../../../domain/target.ts"
import { type CallFailed, callFailed, has, persistently } from "../call-failed.ts"
import { agentOf, agentsFor, destroy } from "../agents.ts"
import { saidBy } from "../failures.ts"
import { NoToken, tellingWhy } from "./no-token.ts"
import { ownIdentity } from "./own-identity.ts"

export interface Tuning {
  /** Before a call that failed in passing is repeated; more each time. */
  readonly pauseMs: number
  /** Between two looks at what is on its way. */
  readonly pollMs: number
  /** Pages are sent by so many at once. */
  readonly workers: number
  /** Certificates that count beside the system's. */
  readonly ca?: string
}
export const usual: Tuning = { pauseMs: 1000, pollMs: 10_000, workers: 8 }

export const clients = Effect.fn("azure.clients")(function*(target: TargetOf<"azure">, credentials: Credentials | undefined, tuning: Tuning) {
  if (credentials?.provider !== "azure") return yield* refused("an azure target needs credentials of provider azure")
  const meter = yield* AttemptMeter
  const reach = { publicOnly: credentials.publicOnly ?? false, meter, ...(tuning.ca !== undefined && { ca: tuning.ca }) }
  const agents = yield* Effect.acquireRelease(Effect.sync(() => agentsFor(reach)), (opened) => Effect.sync(() => destroy(opened)))
  const by = (url: string): By => ({ agent: agentOf(agents, url) })
  const identity = yield* identityOf(credentials, by)
  const [{ ComputeManagementClient }, { BlobServiceClient, StorageSharedKeyCredential }] =
    yield* Effect.promise(() => Promise.all([import("@azure/arm-compute"), import("@azure/storage-blob")]))
  const {
    blob = `https://${target.storage_account}.blob.core.windows.net`, management = "https://management.azure.com"
  } = credentials.endpoints ?? {}
  const keyed = credentials.storage_key === undefined ? identity : new StorageSharedKeyCredential(target.storage_account, credentials.storage_key)
  const blobs = new BlobServiceClient(blob, keyed, { ...by(blob), retryOptions: { maxTries: 1 } })
  const call = <A>(what: string, run: (signal: AbortSignal) => PromiseLike<A>) =>
    persistently(Effect.tryPromise({ try: async (signal) => run(signal), catch: (error) => azureSaid(what, agents.refused() ?? error) }), tuning.pauseMs)
  return {
    call, tuning,
    container: blobs.getContainerClient(target.container),
    compute: new ComputeManagementClient(identity, target.subscription, {
      ...by(management), retryOptions: { maxRetries: 0 }, endpoint: management
    })
  }
})
export type Clients = Effect.Success<ReturnType<typeof clients>>

/** What all of Azure's clients take, though not all say so. */
interface By {
  readonly agent: Agent
}

const refused = (message: string) => new BuildFailed({ class: "user", message })

/** Without secret and certificate the machine's own is meant, which only a worker's own set may say. A key of storage opens blobs alone. */
const identityOf = Effect.fnUntraced(function*(set: CredentialsOf<"azure">, by: (url: string) => By): Effect.fn.Return<TokenCredential, BuildFailed> {
  const { client_certificate, client_id, client_secret, endpoints, publicOnly, storage_key, tenant_id } = set
  const login = endpoints?.login === undefined ? {} : { authorityHost: endpoints.login, disableInstanceDiscovery: true }
  const options = { ...login, ...by(endpoints?.login ?? "https://login.microsoftonline.com"), retryOptions: { maxRetries: 0 } }
  const { ClientCertificateCredential, ClientSecretCredential } = yield* Effect.promise(() => import("@azure/identity"))
  if (client_secret === undefined && client_certificate === undefined) {
    if (storage_key !== undefined) return yield* refused("the credentials have a storage_key alone, with which no image can be made: tenant_id, client_id and client_secret are missing")
    if (publicOnly) return yield* refused("the credentials name no client_secret and no client_certificate")
    return yield* ownIdentity(set, options)
  }
  if (tenant_id === undefined || client_id === undefined) return yield* refused("the credentials name no tenant_id and client_id")
  if (client_secret !== undefined) return tellingWhy(new ClientSecretCredential(tenant_id, client_id, client_secret, options))
  return tellingWhy(new ClientCertificateCredential(tenant_id, client_id, { certificate: client_certificate! }, options))
})

interface AzureError {
  readonly response?: { readonly headers?: { get(name: string): string | undefined } }
  readonly details?: { readonly errorCode?: string; readonly error?: { readonly code?: string; readonly message?: string } }
}

export const azureSaid = (what: string, error: unknown): CallFailed => {
  if (error instanceof NoToken) return callFailed(what, error.said)
  const said = saidBy(error)
  const { details, response } = (error ?? {}) as AzureError
  const wait = Number(response?.headers?.get("retry-after") ?? Number.NaN)
  const [, longCode, longMessage] = /long-running operation has failed\.?\s*([A-Za-z]+)\.\s*([\s\S]*)$/u.exec(said.message) ?? []
  return callFailed(what, {
    // What Azure's long-running operations ended with has no status of its own.
    status: longCode === undefined ? said.status : said.status ?? 200,
    code: longCode ?? details?.error?.code ?? details?.errorCode ?? said.code,
    // Storage says its whole answer after the first line.
    message: (longMessage ?? details?.error?.message ?? said.message).split("\n")[0]!
  }, Number.isFinite(wait) ? wait * 1000 : undefined)
}

/** Azure says for a while that something is busy, or has children, when it is not so any more. */
export const whenFree = <A, R>({ tuning: { pollMs } }: Clients, call: Effect.Effect<A, CallFailed, R>) =>
  Effect.retry(call, { while: has(409), times: 30, schedule: Schedule.spaced(pollMs) })
