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
    return tagFaults(target).map((message) => ({ path: `targets[${at}].tags`, message }))
  })

/** Not of the target's shape, which what is stored already has to keep. */
const tagFaults = (target: Target): ReadonlyArray<string> =>
  target.type !== "aws" ? [] : Object.keys(target.tags ?? {}).filter((name) => /^aws:/iu.test(name))
    .map((name) => `${JSON.stringify(name)} begins with aws:, which AWS keeps for itself`)
