/** What a compose that verifies has to say, as the API shows it. */
import type { Compose } from "../../domain/compose-state.ts"
import { JobId } from "../../domain/ids.ts"
import type { VerificationView } from "./api/compose-views.ts"
import { artifactSummary } from "./compose-details.ts"

const build = JobId.make("0-build")

export const verificationView = ({ outcomes, verifies }: Compose): { readonly verifies?: VerificationView } => {
  if (verifies === undefined) return {}
  const { artifact, composeId, image, manifest, worker } = verifies
  const about = { compose: composeId, image, manifest, artifact: artifactSummary(artifact), built_by: worker }
  const outcome = outcomes.get(build)
  if (outcome?._tag !== "Verified") return { verifies: about }
  const { by, differences, more, note, verdict } = outcome
  return {
    verifies: {
      ...about, verdict, verified_by: by, made: artifactSummary(outcome.artifact), differences, more, ...(note !== undefined && { note })
    }
  }
}
