/** Which methods a path knows, for those who came with another. */
import { FindMyWay } from "effect/http"
import { KilnApi, prefix } from "./api/kiln-api.ts"

const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] as const

/** Served beside the API, all by GET. */
export const pages = [
  "/", "/docs", "/healthz", "/readyz", "/metrics", "/.well-known/jwks.json", `${prefix}/openapi.json`
] as const

const router = FindMyWay.make<true>({ maxParamLength: 2000 })
for (const group of Object.values(KilnApi.groups)) {
  for (const { method, path } of Object.values(group.endpoints)) router.on(method, path as `/${string}`, true)
}
for (const page of pages) router.on("GET", page, true)

export const methodsAt = (url: string): ReadonlyArray<string> =>
  methods.filter((method) => router.find(method === "HEAD" ? "GET" : method, url) !== undefined)
