import { Architecture, ComposeId, JobId, TenantId } from "../../../domain/ids.ts"
import type { WorkItem } from "../../../domain/work.ts"

/** A build by the builder `slow`; those of one hostname are of one manifest. */
export const itemNamed = (hostname: string): WorkItem => ({
  speaker: "default/w1", tenantId: TenantId.make("acme"), composeId: ComposeId.make("0199d0a0-0000-7000-8000-000000000001"), jobId: JobId.make("0-build"), attempt: 1,
  kind: "build", builder: "slow", distribution: "test-distro-1", image: { architecture: Architecture.make("x86_64"), type: "guest-image" }, customizations: { hostname }
})
