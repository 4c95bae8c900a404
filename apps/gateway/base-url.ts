import type { HttpServerRequest } from "effect/http"
import type { GatewayConfig } from "./config.ts"

const hostShape = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?$/i

/** Where this client reaches us: as configured, else by the name that it used. */
export const baseUrl = (
  { publicUrl }: GatewayConfig,
  { headers, protocol }: HttpServerRequest.HttpServerRequest
): string => {
  if (publicUrl !== undefined) return publicUrl.replace(/\/+$/, "")
  const host = headers["host"] ?? ""
  return hostShape.test(host) ? `${protocol ?? "http"}://${host}` : ""
}
