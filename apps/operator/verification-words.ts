/** What a verification has come to, for people. */
import type { VerificationView } from "../gateway/api/compose-views.ts"
import { differenceLine } from "./difference-line.ts"
import { harmless, type OutputShape, painted } from "./output.ts"
import { facts } from "./table.ts"

const verdicts = {
  identical: ["the same bytes", "green"],
  "same-contents": ["other bytes, the same contents", "yellow"],
  different: ["DIFFERENT", "red"]
} as const

export const verificationLines = (output: OutputShape, verifies: VerificationView | undefined): ReadonlyArray<string> => {
  if (verifies === undefined) return []
  const { artifact, built_by, compose, differences = [], image, made, more = 0, note, verdict, verified_by } = verifies
  const [words, colour] = verdict === undefined ? ["not known yet", undefined] as const : verdicts[verdict]
  return [
    ...facts(output, [
      ["Verifies", `image ${image} of ${compose}`],
      ["Built", `${artifact.digest} by ${built_by}`],
      ["Built again", made === undefined ? undefined : `${made.digest} by ${verified_by}`],
      ["Verdict", painted(output, colour, words)]
    ]),
    ...(note === undefined ? [] : [harmless(note)]),
    ...differences.map(differenceLine),
    ...(more > 0 ? [`and ${more} more`] : [])
  ]
}
