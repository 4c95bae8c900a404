/** Rows as the API shows them. */
import { ComposeId, Digest, JobId, TenantId } from "../../domain/ids.ts"
import type { JobKind } from "../../domain/job.ts"
import type { TargetType } from "../../domain/target.ts"
import type { AccountRow } from "../../projections/accounts.ts"
import type { AuditRow } from "../../projections/audit.ts"
import type { CopyRow, ImageRow } from "../../projections/images.ts"
import type { AttemptRow } from "../../projections/job-attempts.ts"
import type { AuditItem, HistoryItem, ImageItem } from "./api/history-api.ts"
import { time } from "./compose-details.ts"

export const attemptItem = (row: AttemptRow): HistoryItem => ({
  compose: ComposeId.make(row.composeId),
  job: JobId.make(row.jobId),
  attempt: row.attempt,
  kind: row.kind as JobKind,
  image: row.image,
  ...(row.target !== null && { target: row.target }),
  status: row.status,
  ...(row.worker !== null && { worker: row.worker }),
  queued_at: time(row.queuedAt),
  ...(row.startedAt !== null && { started_at: time(row.startedAt) }),
  ...(row.endedAt !== null && { ended_at: time(row.endedAt) }),
  ...(row.ranMs !== null && { ran_seconds: row.ranMs / 1000 }),
  ...(row.storedBytes > 0 && { stored_bytes: row.storedBytes }),
  ...(row.sentBytes > 0 && { sent_bytes: row.sentBytes }),
  ...(row.failure !== null && { failure: row.failure })
})

/** Only what was built is listed, so nothing of this is missing. */
export const imageItem = (row: ImageRow): ImageItem => ({
  compose: ComposeId.make(row.composeId),
  image: row.image,
  distribution: row.distribution,
  architecture: row.architecture,
  type: row.type,
  built_at: time(row.builtAt!),
  digest: Digest.make(row.digest!),
  size: row.size!,
  format: row.format!,
  filename: row.filename!,
  held_by: row.heldBy!,
  copies: row.copies.map(copyView)
})

const copyView = ({ deliveredAt, digest, format, id, place, removedAt, target, type, url }: CopyRow): ImageItem["copies"][number] => ({
  target, type: type as TargetType,
  ...(id !== null && { id }),
  ...(place !== null && { place }),
  ...(url !== null && { url }),
  ...(digest !== null && { digest }),
  format, delivered_at: time(deliveredAt),
  ...(removedAt !== null && { removed_at: time(removedAt) })
})

export const auditItem = ({ action, actorId, actorKind, aggregate, aggregateId, at, detail, revision, tenantId, trace }: AuditRow): AuditItem => ({
  at: time(at), tenant: TenantId.make(tenantId), actor: { kind: actorKind, id: actorId }, action, aggregate, id: aggregateId, revision,
  ...(detail !== null && { detail }),
  ...(trace !== null && { trace })
})

export const tenantItem = (row: AccountRow) => ({
  tenant: TenantId.make(row.tenantId),
  composes_reserved: row.reserved,
  composes_released: row.released,
  stored_bytes: row.storedBytes,
  ...(row.lastReservedAt !== null && { last_reserved_at: time(row.lastReservedAt) }),
  ...(row.policy !== null && { policy: row.policy }),
  ...(row.policySetAt !== null && { policy_set_at: time(row.policySetAt) }),
  ...(row.policySetBy !== null && { policy_set_by: row.policySetBy })
})
