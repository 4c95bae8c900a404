import { describe, expect, it } from "vitest"
import { releases } from "../../../infra/debian/distributions.ts"
import { extrasOf, wishesOf, withKernel } from "../../../infra/debian/extras.ts"

describe("what a request needs beyond the base", () => {
  it("is nothing for an empty one", () => expect(extrasOf({})).toEqual([]))
  it("is its packages, once and sorted", () =>
    expect(extrasOf({ packages: ["vim", { name: "curl", version: "8" }, "vim"] })).toEqual(["curl", "vim"]))
  it("is the locales for a locale the C library does not have built in", () => {
    expect(extrasOf({ locale: "de_DE.UTF-8" })).toEqual(["locales"])
    expect(extrasOf({ locale: "C.UTF-8" })).toEqual([])
  })
  it("is the zone files for a time zone", () => expect(extrasOf({ timezone: "Europe/Berlin" })).toEqual(["tzdata"]))
  it("is what does the work of the other customizations", () =>
    expect(
      extrasOf({
        cacerts: { pem_certs: [] },
        cloud_init: { user_data: "" },
        firewall: {},
        keyboard: { layout: "de" },
        sysctl: {}
      })
    ).toEqual(["ca-certificates", "cloud-init", "console-setup", "nftables"]))
})

describe("what apt is asked for", () => {
  it("is names, and versions where they were asked for, also of the base", () =>
    expect(wishesOf(["sudo", "vim", "curl"], { packages: [{ name: "sudo", version: "1:1.9" }, { name: "vim" }] })).toEqual([
      "sudo=1:1.9",
      "vim",
      "curl"
    ]))

  it("is another kernel in the place of the release's own", () => {
    const debian = releases.find(({ id }) => id === "debian-13")!
    expect(withKernel(debian, { kernel: { name: "linux-image-amd64" } }).base.filter((name) => name.startsWith("linux-"))).toEqual([
      "linux-image-amd64"
    ])
    expect(withKernel(debian, { kernel: { append: "quiet" } })).toBe(debian)
  })
})
