/** Where what is said of a built image can be fetched. */
import type { Compose } from "../../domain/compose-state.ts"
import { JobId } from "../../domain/ids.ts"
import { prefix } from "./api/kiln-api.ts"
import type { ImageView } from "./api/compose-views.ts"

export const evidenceLinks = (compose: Compose, image: number): Pick<ImageView, "evidence"> => {
  const built = compose.outcomes.get(JobId.make(`${image}-build`))
  if (built?._tag !== "Built") return {}
  const at = (name: string) => `${prefix}/composes/${compose.composeId}/images/${image}/${name}`
  return {
    evidence: {
      provenance: at("provenance.dsse.json"),
      ...(built.evidence?.spdx && { sbom_spdx: at("sbom.spdx.json") }),
      ...(built.evidence?.cyclonedx && { sbom_cyclonedx: at("sbom.cdx.json") }),
      ...(built.evidence?.noBill !== undefined && { no_sbom: built.evidence.noBill }),
      ...(compose.outcomes.has(JobId.make(`${image}-resolve`)) && { lock: at("lock.json") })
    }
  }
}
