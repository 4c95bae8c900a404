/** Amazon itself, where somebody has said which account; takes minutes to an hour, costs cents, and takes away what it has made. */
import { describe, it } from "@effect/vitest"
import { AwsCredentials } from "../../../../domain/credentials.ts"
import { AwsTarget } from "../../../../domain/target.ts"
import { awsTarget } from "../../../../infra/targets/aws/target.ts"
import { liveTrial, trialIn } from "../../../support/live-trial.ts"
import { skipWhere } from "../../../support/needs.ts"

const file = process.env["KILN_LIVE_AWS"]

describe("EC2 itself", () => {
  skipWhere(file === undefined, "KILN_LIVE_AWS names no file with a target and credentials for a trial at Amazon's")

  it.live("takes an image, finds it when it is asked again, and lets it go", () => {
    const { credentials, target } = trialIn(AwsTarget, AwsCredentials, file!)
    return liveTrial(awsTarget, target, credentials)
  }, 2 * 3_600_000)
})
