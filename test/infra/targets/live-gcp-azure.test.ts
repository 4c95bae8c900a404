/** Google and Azure themselves, where somebody has said which account; takes minutes, costs cents, and takes away what it has made. */
import { describe, it } from "@effect/vitest"
import { AzureCredentials, GcpCredentials } from "../../../domain/credentials.ts"
import { AzureTarget, GcpTarget } from "../../../domain/target.ts"
import { azureTarget } from "../../../infra/targets/azure/target.ts"
import { gcpTarget } from "../../../infra/targets/gcp/target.ts"
import { liveTrial, trialIn } from "../../support/live-trial.ts"
import { skipWhere } from "../../support/needs.ts"

const hours = 3_600_000
const gcpFile = process.env["KILN_LIVE_GCP"]
const azureFile = process.env["KILN_LIVE_AZURE"]

describe("Compute Engine itself", () => {
  skipWhere(gcpFile === undefined, "KILN_LIVE_GCP names no file with a target and credentials for a trial at Google's")
  it.live("takes an image, finds it when it is asked again, and lets it go", () => {
    const { credentials, target } = trialIn(GcpTarget, GcpCredentials, gcpFile!)
    return liveTrial(gcpTarget, target, credentials)
  }, hours)
})

describe("Azure itself", () => {
  skipWhere(azureFile === undefined, "KILN_LIVE_AZURE names no file with a target and credentials for a trial at Azure's")
  it.live("takes an image, finds it when it is asked again, and lets it go", () => {
    const { credentials, target } = trialIn(AzureTarget, AzureCredentials, azureFile!)
    return liveTrial(azureTarget, target, credentials)
  }, hours)
})
