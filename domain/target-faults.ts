/** Which images can go where. */
import type { Target, TargetType } from "./target.ts"

/** What makes machines of an image takes a disk; what keeps files takes any. */
const wantsDisk: Readonly<Record<TargetType, boolean>> = { file: false, s3: false, oci: false, aws: true, gcp: true, azure: true }

export interface TargetFault {
  readonly path: string
  readonly message: string
}

/** `delivers`: what there is a way to deliver to; `isDisk`: whether the image is one. Paths begin at the image. */
export const targetFaults = (targets: ReadonlyArray<Target>, isDisk: boolean, delivers: (type: TargetType) => boolean): ReadonlyArray<TargetFault> =>
  targets.flatMap((target, at): ReadonlyArray<TargetFault> => {
    const { type } = target
    const path = `targets[${at}].type`
    if (type !== "file" && !delivers(type)) return [{ path, message: `nothing here delivers to ${type}` }]
    if (wantsDisk[type] && !isDisk) return [{ path, message: `${type} takes disks, and images of this type are none` }]
    return [...tagFaults(target), ...regionFaults(target)].map(({ message, path: field }) => ({ path: `targets[${at}].${field}`, message }))
  })

/** Not of the target's shape, which what is stored already has to keep. */
const tagFaults = (target: Target): ReadonlyArray<TargetFault> =>
  target.type !== "aws" ? [] : Object.keys(target.tags ?? {}).filter((name) => /^aws:/iu.test(name))
    .map((name) => ({ path: "tags", message: `${JSON.stringify(name)} begins with aws:, which AWS keeps for itself` }))

const compass = "(north|south)?(east|west)|north|south|central"
/** Which regions there are changes; how both clouds make their names does not. Whether an account has one is for a check. */
const awsRegion = new RegExp(`^[a-z]{2,4}(-[a-z]{2,5})?-(${compass})-[0-9]{1,2}$`, "u")
const googleRegion = new RegExp(`^(africa|asia|australia|europe|me|northamerica|southamerica|us)-(${compass})[0-9]{1,2}$|^(eu|us|asia)$`, "u")

const regionFaults = (target: Target): ReadonlyArray<TargetFault> => {
  const no = (path: string, region: string, cloud: string) => ({ path, message: `${cloud} has no region of the name ${region}` })
  if (target.type === "gcp") return target.location === undefined || googleRegion.test(target.location) ? [] : [no("location", target.location, "Google Cloud")]
  if (target.type !== "aws") return []
  const named = [["region", target.region] as const, ...(target.copy_to_regions ?? []).map((region, at) => [`copy_to_regions[${at}]`, region] as const)]
  return named.flatMap(([path, region]) => awsRegion.test(region) ? [] : [no(path, region, "AWS")])
}
