/** Removes what an upload has delivered, in a cloud or in Kiln's own store. */
import { Effect } from "effect"
import type { JobId } from "../../domain/ids.ts"
import { Artifacts } from "../../domain/ports/artifacts.ts"
import { BuildFailed } from "../../domain/ports/image-builder.ts"
import { ImageTargets } from "../../domain/ports/image-targets.ts"
import { WorkOutcome, type WorkItem } from "../../domain/work.ts"
import { credentialsFor } from "./credentials-for.ts"
import type { JobContext } from "./handle-job.ts"

const { Removed } = WorkOutcome.cases

export const removeCopy = Effect.fn("removeCopy")(function*(item: WorkItem, { report, secrets }: Pick<JobContext, "report" | "secrets">) {
  const { target } = item
  if (target === undefined) return yield* unknown(item.jobId)
  if (target.type === "file") yield* removeStored(item)
  else {
    const cloud = (yield* ImageTargets).get(target.type)
    if (cloud === undefined || item.copy === undefined) return yield* unknown(item.jobId)
    const { resources } = item.copy
    yield* cloud.remove(target, resources, yield* credentialsFor(target, item.tenantId, secrets))
    for (const { id, kind, place } of resources) report.line(`removed ${kind} ${id}${place === undefined ? "" : ` in ${place}`}`)
  }
  return Removed.make({ target })
})

/** The bytes stay where another compose refers to them: they have one name, their digest. */
const removeStored = Effect.fnUntraced(function*({ artifact, unusedSince }: WorkItem) {
  if (artifact === undefined || unusedSince === undefined) return
  yield* (yield* Artifacts).remove(artifact.digest, unusedSince)
}, Effect.catchTag("ArtifactsUnavailable", ({ message }) => new BuildFailed({ class: "platform", message })))

const unknown = (jobId: JobId) => new BuildFailed({ class: "platform", message: `this worker does not know how to do ${jobId}` })
