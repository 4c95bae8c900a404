import { describe, expect, it } from "vitest"
import { debianConfigOf, imageSources } from "../../../infra/debian/config.ts"
import { distributionsOf, extrasOf, releases } from "../../../infra/debian/distributions.ts"

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

  it("have one image type, which takes a size", () =>
    expect(distributionsOf({})[0]?.architectures[0]?.imageTypes).toMatchObject([
      { type: "guest-image", options: ["size_bytes"] }
    ]))
})

describe("what a request needs beyond the base", () => {
  it("is nothing for an empty one", () => expect(extrasOf({})).toEqual([]))
  it("is its packages, once and sorted", () =>
    expect(extrasOf({ packages: ["vim", "curl", "vim"] })).toEqual(["curl", "vim"]))
  it("is the locales for a locale the C library does not have built in", () => {
    expect(extrasOf({ locale: "de_DE.UTF-8" })).toEqual(["locales"])
    expect(extrasOf({ locale: "C.UTF-8" })).toEqual([])
  })
  it("is the zone files for a time zone", () => expect(extrasOf({ timezone: "Europe/Berlin" })).toEqual(["tzdata"]))
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
    ).toEqual({
      cacheDir: "/c",
      mirrors: { debian: "http://near/debian" },
      imageMirrors: { debian: "http://far/debian" }
    }))

  it("of an image are those of its lock", () =>
    expect(imageSources(release, sources, {})).toBe(
      `deb ${signed} http://near/debian trixie main\ndeb ${signed} http://near/security trixie-security main\n`
    ))

  it("of an image are others where others are asked for", () =>
    expect(imageSources(release, sources, { debian: "http://far/debian" })).toBe(
      `deb ${signed} http://far/debian trixie main\ndeb ${signed} http://near/security trixie-security main\n`
    ))
})
