/** What is wrong with well-formed options of an image, by place. Pure. */
import type { ImageOptions } from "./image-options.ts"

export interface OptionFault {
  /** Below `options`. */
  readonly path: string
  readonly message: string
}

const twice = ({ mountpoints = [] }: ImageOptions): ReadonlyArray<OptionFault> =>
  mountpoints.flatMap(({ mountpoint }, index) => {
    const before = mountpoints.findIndex((other) => other.mountpoint === mountpoint)
    return before === index ? [] : [{ path: `mountpoints[${index}].mountpoint`, message: `the same as mountpoints[${before}].mountpoint` }]
  })

const tooSmall = ({ mountpoints = [], size_bytes, swap_bytes = 0 }: ImageOptions): ReadonlyArray<OptionFault> => {
  const parts = mountpoints.reduce((sum, mount) => sum + mount.size_bytes, swap_bytes)
  return size_bytes === undefined || size_bytes > parts
    ? []
    : [{ path: "size_bytes", message: `swap and mount points alone take ${parts} bytes` }]
}

export const optionFaults = (options: ImageOptions): ReadonlyArray<OptionFault> => [...twice(options), ...tooSmall(options)]
