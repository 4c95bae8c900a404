import { Context } from "effect"

/** What an operator may set; the defaults suit one machine. */
export interface GatewayConfig {
  /** Where clients reach us, such as `https://images.example.org`; without it, what each request has as its Host. */
  readonly publicUrl?: string
  /** How long a download link works, in milliseconds. */
  readonly linkTtl: number
  /** Requests that take longer, in milliseconds, are logged. */
  readonly slow: number
  /** Silence on an event stream before a comment keeps it open, in milliseconds. */
  readonly keepAlive: number
  /** How long somebody who reads an event stream may take nothing, in milliseconds. */
  readonly readerPatience?: number
  /** The installation's name. */
  readonly deployment?: string
  /** Of all that is kept for readers of streams who fall behind, in bytes; for composes and for tenants. */
  readonly windowBytes?: number
  /** Operators of this tenant are operators of the installation. */
  readonly operatorTenant: string
  /** Of one stored file, and of all that a tenant has. */
  readonly storedFileBytes: number
  readonly storedFilesBytes: number
  /** How many a tenant may have; of event streams, those that are open at this gateway. */
  readonly pipelinesPerTenant?: number
  readonly streamsPerTenant?: number
  /** Whether tenants' own repositories may be on a machine of ours, or on its link. */
  readonly privateRepositories?: boolean
  /** Whether tenants' credentials may have addresses of a machine of ours, or on its link. */
  readonly privateEndpoints?: boolean
  /** Addresses that webhooks may not reach; what is not the whole world's, unless said. */
  readonly webhookRefuses?: (address: string) => boolean
}

export const GatewayConfig = Context.Reference<GatewayConfig>("gateway/GatewayConfig", {
  defaultValue: () => ({ linkTtl: 3_600_000, slow: 1000, keepAlive: 15_000, operatorTenant: "default", storedFileBytes: 64 * 2 ** 20, storedFilesBytes: 2 ** 30 })
})
