import { describe, expect, it } from "vitest"
import { imageTypeOf } from "../../../infra/debian/image-types/all.ts"
import { debianConfigOf, imageSources } from "../../../infra/debian/config.ts"
import { distributionsOf, releaseFor, releases } from "../../../infra/debian/distributions.ts"

describe("the distributions on offer", () => {
  it("are Debian's two, for x86_64, resolved before they are built", () =>
    expect(
      distributionsOf({}).map(({ architectures, builder, id, resolves }) => [
        id,
        builder,
        resolves,
        architectures.map(({ architecture }) => architecture)
      ])
    ).toEqual([
      ["debian-12", "debian", true, ["x86_64"]],
      ["debian-13", "debian", true, ["x86_64"]]
    ]))

  it("are of aarch64 too where somebody says that there are workers for it", () =>
    expect(distributionsOf({ KILN_DEBIAN_ARCHITECTURES: "x86_64, aarch64" })[0]?.architectures.map(({ architecture }) => architecture))
      .toEqual(["x86_64", "aarch64"]))

  it("have image types, each with the options that it takes, and a word on whether it can be tried out", () => {
    const types = distributionsOf({})[0]!.architectures[0]!.imageTypes
    expect(types.map(({ type }) => type)).toEqual([
      "guest-image", "minimal-raw", "aws", "azure", "gcp", "oci", "vsphere", "vsphere-ova", "wsl", "container", "network-boot", "live-iso"
    ])
    expect(types.filter(({ options }) => options.includes("mountpoints")).length).toBe(8)
    expect(types.filter(({ bootable }) => bootable).map(({ type }) => type)).toEqual(["guest-image", "minimal-raw", "aws", "azure", "gcp", "oci", "vsphere", "vsphere-ova", "live-iso"])
    expect(types.filter(({ ownUserData }) => ownUserData).map(({ type }) => type)).toEqual(["aws", "azure", "gcp", "oci", "vsphere", "vsphere-ova"])
    expect(types.filter(({ unfit }) => unfit !== undefined).map(({ type }) => type)).toEqual(["wsl", "container"])
  })
})

describe("the base of an image", () => {
  const release = releases.find(({ id }) => id === "debian-13")!
  const baseOf = (type: string, architecture = "amd64") => releaseFor(release, imageTypeOf(type)!, architecture).base

  it("of a machine has a kernel of its architecture", () => {
    expect(baseOf("guest-image")).toEqual(release.base)
    expect(baseOf("guest-image", "arm64")).toEqual(["linux-image-cloud-arm64", ...release.base.slice(1), "systemd-boot-efi"])
    expect(baseOf("network-boot", "arm64")[0]).toBe("linux-image-arm64")
  })
  it("of a cloud's machine has cloud-init", () => expect(baseOf("oci")).toEqual([...release.base, "cloud-init"]))
  it("of a container is what is essential", () => expect(baseOf("container")).toEqual(["base-files"]))
})

describe("mirrors", () => {
  const release = releases.find(({ id }) => id === "debian-13")!
  const sources = [
    { uri: "http://near/debian", suite: "trixie" },
    { uri: "http://near/security", suite: "trixie-security" }
  ]
  const signed = `[signed-by=${release.keyring}]`

  it("come from the environment without their last slash", () =>
    expect(
      debianConfigOf("/c", { KILN_DEBIAN_MIRROR: "http://near/debian/", KILN_IMAGE_DEBIAN_MIRROR: "http://far/debian" })
    ).toMatchObject({
      cacheDir: "/c",
      mirrors: { debian: "http://near/debian" },
      imageMirrors: { debian: "http://far/debian" }
    }))

  it("may have an archive of snapshots beside them, at an address of http or https", () => {
    expect(debianConfigOf("/c", { KILN_DEBIAN_SNAPSHOT: "http://snapshot/archive/" }).snapshots).toBe("http://snapshot/archive")
    expect(debianConfigOf("/c", { KILN_DEBIAN_SNAPSHOT: "" }).snapshots).toBe(undefined)
    expect(() => debianConfigOf("/c", { KILN_DEBIAN_SNAPSHOT: "/srv/archive" })).toThrow(/^KILN_DEBIAN_SNAPSHOT: /)
  })

  it("of an image are those of its lock", () =>
    expect(imageSources(release, sources, {})).toBe(
      `deb ${signed} http://near/debian trixie main\ndeb ${signed} http://near/security trixie-security main\n`
    ))

  it("of an image are others where others are asked for", () =>
    expect(imageSources(release, sources, { debian: "http://far/debian" })).toBe(
      `deb ${signed} http://far/debian trixie main\ndeb ${signed} http://near/security trixie-security main\n`
    ))
})
