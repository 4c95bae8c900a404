/** What a delivery has left behind: marked as its own, and no part of a copy that is there. */
import type { Compose } from "./compose-state.ts"
import type { JobId } from "./ids.ts"
import type { CloudResource } from "./image-copy.ts"

/** Not every provider writes its ids the same way each time. */
export const nameOf = ({ id, kind }: CloudResource): string => `${kind} ${id}`.toLowerCase()

export const leftoverKey = (jobId: JobId, { place = "", ...resource }: CloudResource): string => `${jobId} ${place} ${nameOf(resource)}`

/** Whether it belongs to what was delivered by that job, until all of that is gone. */
export const isOfCopy = ({ outcomes, removed }: Compose, jobId: JobId, resource: CloudResource): boolean => {
  const outcome = outcomes.get(jobId)
  if (outcome?._tag !== "Uploaded" || removed.has(jobId)) return false
  // Of what nobody has said what it is made of, nothing can be told apart.
  return outcome.copy === undefined || outcome.copy.resources.some((own) => nameOf(own) === nameOf(resource))
}
