/** Marks as they are read back from a cloud, where anybody may have written them. */
import { Option, Schema } from "effect"
import { ComposeId, JobId, TenantId } from "../../domain/ids.ts"
import type { Marks } from "../../domain/ports/image-targets.ts"

const decode = Schema.decodeUnknownOption(Schema.Struct({ tenantId: TenantId, composeId: ComposeId, jobId: JobId }))

/** Nothing where they are no marks of ours. */
export const marksOf = (deployment: string, read: Readonly<Record<"tenantId" | "composeId" | "jobId", unknown>>): Marks | undefined =>
  Option.match(decode(read), { onNone: () => undefined, onSome: (ids) => ({ deployment, ...ids }) })
