import type { ComposeId, TenantId } from "../../domain/ids.ts"
import { JobId } from "../../domain/ids.ts"
import type { OpenJob } from "../../domain/scheduling/open-jobs.ts"

/** The build of a simulated image, as a scheduler knows it that has only seen it queued. */
export const waitingJob = (tenantId: TenantId, composeId: ComposeId): OpenJob => ({
  tenantId, composeId, jobId: JobId.make("0-build"), attempt: 1, priority: "normal", revision: 1, notBefore: 0, queuedAt: Date.now(), since: Date.now(),
  need: { kind: "build", architecture: "x86_64", distribution: "test-distro-1", imageType: "simulated" },
  state: "ready", speaker: undefined, sequence: 0, token: undefined
})
