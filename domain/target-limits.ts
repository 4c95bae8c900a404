/** How much may be delivered to one account at once. What a limit is counted by follows from the target alone. */
import { Schema } from "effect"
import type { CloudTarget, Target } from "./target.ts"

const Positive = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))

/** Deliveries that run at the same time, and how many may begin in a minute, evenly spread. What is not said is not limited. */
export const TargetLimit = Schema.Struct({ atOnce: Schema.optionalKey(Positive), perMinute: Schema.optionalKey(Positive) })
export type TargetLimit = typeof TargetLimit.Type

/** Something of each type of target that has accounts. */
export const forEachAccountType = <Each extends Schema.Top>(each: Each) => Schema.Struct({
  s3: Schema.optionalKey(each), aws: Schema.optionalKey(each), gcp: Schema.optionalKey(each), azure: Schema.optionalKey(each), oci: Schema.optionalKey(each)
})

export const TargetLimits = forEachAccountType(TargetLimit)
export type TargetLimits = typeof TargetLimits.Type

/** EC2 imports 20 snapshots at once. What Google and Azure have is a stock of images, not a rate: theirs is for courtesy. */
export const usualLimits: TargetLimits = { aws: { atOnce: 20 }, gcp: { atOnce: 20 }, azure: { atOnce: 20 } }

/** `type/place/set`: the region, project or subscription, and the name of the credentials, which may be empty. */
export const limitKeyOf = (target: Target): string | undefined =>
  target.type === "file" ? undefined : `${target.type}/${placeOf(target)}/${target.credentials ?? ""}`

export const partsOfLimit = (key: string): { readonly type: keyof TargetLimits; readonly place: string; readonly set: string } => {
  const [type, place, set] = key.split("/")
  return { type: type as keyof TargetLimits, place: place!, set: set! }
}

const placeOf = (target: CloudTarget): string => {
  switch (target.type) {
    case "s3":
      return target.region ?? ""
    case "aws":
      return target.region
    case "gcp":
      return target.project ?? ""
    case "azure":
      return `${target.subscription.toLowerCase()}:${target.location}`
    case "oci":
      return target.registry
  }
}
