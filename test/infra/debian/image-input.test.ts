import { describe, expect, it } from "vitest"
import { manifestOf } from "../../../domain/manifest.ts"
import { diskIdsOf } from "../../../infra/debian/disk-ids.ts"
import { kernelArgumentsOf, typeFiles } from "../../../infra/debian/image-input.ts"
import { imageTypeOf } from "../../../infra/debian/image-types/all.ts"
import { typedSpec } from "./real.ts"

type Spec = Parameters<typeof typedSpec>
const scene = (...asked: Spec) => {
  const spec = typedSpec(...asked)
  const type = imageTypeOf(spec.image.type)!
  const ids = diskIdsOf(manifestOf("debian", spec, undefined))
  const files = new Map(typeFiles(type, spec, ids).map(({ path, text }) => [path, text]))
  return { ids, files, kernel: kernelArgumentsOf(type, spec, ids) }
}

describe("what scripts are told of an image type", () => {
  it("is where the root is, and the serial port", () => {
    const { files, ids, kernel } = scene("guest-image", {})
    expect(kernel).toBe(`root=PARTUUID=${ids.root} ro console=tty0 console=ttyS0,115200 quiet`)
    expect([...files.keys()]).toEqual(["units", "partitions", "fstab"])
    expect(files.get("units")).toContain("serial-getty@ttyS0\n")
  })

  it("leaves the serial port alone where that is asked for", () => {
    const { files, kernel } = scene("guest-image", {}, { serial: false })
    expect(kernel).not.toContain("ttyS0")
    expect(files.get("units")).not.toContain("serial-getty")
  })

  it("is what the kernel needs in that cloud, before what the request adds", () =>
    expect(scene("aws", { kernel: { append: "nosmt" } }).kernel).toMatch(/ quiet nvme_core\.io_timeout=4294967295 nosmt$/))

  it("is the one cloud that cloud-init asks", () =>
    expect(scene("gcp", {}).files.get("type/etc/cloud/cloud.cfg.d/90-kiln-cloud.cfg")).toMatch(/^datasource_list: \[ GCE, None \]\n/))

  it("is no disk, no fstab and no unit for a tree", () =>
    expect([...scene("container", {}).files]).toEqual([["units", ""]]))

  it("is the first user for whom a shell is opened on Windows", () =>
    expect(scene("wsl", { users: [{ name: "root" }, { name: "ann", uid: 1500 }] }).files).toEqual(new Map([
      ["units", ""],
      ["type/etc/wsl.conf", "[boot]\nsystemd=true\n\n[user]\ndefault=ann\n"],
      ["type/etc/wsl-distribution.conf", "[oobe]\ndefaultName = debian-13\ndefaultUid = 1500\n"]
    ])))
})
