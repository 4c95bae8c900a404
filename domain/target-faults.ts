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
  targets.flatMap(({ type }, at): ReadonlyArray<TargetFault> => {
    const path = `targets[${at}].type`
    if (type !== "file" && !delivers(type)) return [{ path, message: `nothing here delivers to ${type}` }]
    return wantsDisk[type] && !isDisk ? [{ path, message: `${type} takes disks, and images of this type are none` }] : []
  })
