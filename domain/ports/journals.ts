import { Context, type Effect } from "effect"
import type { ComposeId, Digest, JobId, TenantId } from "../ids.ts"
import type { BuildFailed } from "./image-builder.ts"
import type { Journal } from "./image-targets.ts"

/** Another file is another delivery, even if the job is the same. */
export interface JournalOf {
  readonly tenantId: TenantId
  readonly composeId: ComposeId
  readonly jobId: JobId
  readonly artifact: Digest
}

/** What this worker has noted of its deliveries, until long after they have ended. Nothing else of the system sees it. */
export class Journals extends Context.Service<Journals, {
  open(of: JournalOf): Effect.Effect<Journal, BuildFailed>
  /** It will not be asked for any more, unless somebody has not heard that the job is done. */
  close(of: JournalOf): Effect.Effect<void>
}>()("domain/ports/Journals") {}
