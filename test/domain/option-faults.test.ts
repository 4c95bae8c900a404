import { describe, expect, it } from "vitest"
import { optionFaults } from "../../domain/option-faults.ts"

const MiB = 2 ** 20
const home = { mountpoint: "/home", size_bytes: 64 * MiB }

describe("the options of an image", () => {
  it("are right where every mount point is there once and the disk is larger than they are", () =>
    expect(optionFaults({ size_bytes: 2048 * MiB, swap_bytes: 64 * MiB, mountpoints: [home, { ...home, mountpoint: "/var" }] })).toEqual([]))

  it("name no mount point twice", () =>
    expect(optionFaults({ mountpoints: [home, { ...home, mountpoint: "/srv" }, home] })).toEqual([
      { path: "mountpoints[2].mountpoint", message: "the same as mountpoints[0].mountpoint" }
    ]))

  it("do not make the disk smaller than what is to be on it", () =>
    expect(optionFaults({ size_bytes: 128 * MiB, swap_bytes: 64 * MiB, mountpoints: [home] })).toEqual([
      { path: "size_bytes", message: `swap and mount points alone take ${128 * MiB} bytes` }
    ]))
})
