/** Kiln's own API as a value: routes, client and OpenAPI document come from it. */
import { HttpApi, OpenApi } from "effect/http-api"
import { BlueprintsApi } from "./blueprints-api.ts"
import { BootsApi } from "./boots-api.ts"
import { CatalogApi } from "./catalog-api.ts"
import { ComposesApi } from "./composes-api.ts"
import { CopiesApi } from "./copies-api.ts"
import { CredentialsApi } from "./credentials-api.ts"
import { DepsolveApi } from "./depsolve-api.ts"
import { DownloadsApi } from "./downloads-api.ts"
import { EventsApi } from "./events-api.ts"
import { EvidenceApi, KeysApi } from "./evidence-api.ts"
import { FilesApi } from "./files-api.ts"
import { HistoryApi } from "./history-api.ts"
import { OperationApi } from "./operation-api.ts"
import { PipelinesApi } from "./pipelines-api.ts"
import { ReaperApi } from "./reaper-api.ts"
import { TargetsApi } from "./targets-api.ts"
import { TenantsApi } from "./tenants-api.ts"
import { WebhooksApi } from "./webhooks-api.ts"

export const prefix = "/api/kiln/v1"

// Unknown fields are refused, so that a misspelt one never passes for a default. Headers come with many unknown ones.
const strict = { onExcessProperty: "error", errors: "all" } as const

export class KilnApi extends HttpApi.make("kiln")
  .add(
    ComposesApi, BlueprintsApi, EventsApi, CatalogApi, DepsolveApi, DownloadsApi, EvidenceApi, BootsApi, FilesApi, KeysApi, TenantsApi,
    HistoryApi, CredentialsApi, CopiesApi, PipelinesApi, TargetsApi, ReaperApi, WebhooksApi, OperationApi
  )
  .prefix(prefix)
  .annotate(HttpApi.PayloadParseOptions, strict)
  .annotate(HttpApi.ParamsParseOptions, strict)
  .annotate(HttpApi.QueryParseOptions, strict)
  .annotate(HttpApi.HeadersParseOptions, { errors: "all" })
  .annotateMerge(OpenApi.annotations({
    title: "Kiln",
    version: "1.0.0",
    description: "Operating-system images, built on request."
  }))
{}
