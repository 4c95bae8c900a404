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
  /** Operators of this tenant are operators of the installation. */
  readonly operatorTenant: string
  /** Of one stored file, and of all that a tenant has. */
  readonly storedFileBytes: number
  readonly storedFilesBytes: number
  /** Whether tenants' own repositories may be on a machine of ours, or on its link. */
  readonly privateRepositories?: boolean
  /** Whether tenants' credentials may have addresses of a machine of ours, or on its link. */
  readonly privateEndpoints?: boolean
}

export const GatewayConfig = Context.Reference<GatewayConfig>("gateway/GatewayConfig", {
  defaultValue: () => ({ linkTtl: 3_600_000, slow: 1000, keepAlive: 15_000, operatorTenant: "default", storedFileBytes: 64 * 2 ** 20, storedFilesBytes: 2 ** 30 })
})
