import { describe, expect, it } from "vitest"
import {
  acquireSettings,
  machineSources,
  packagesOf,
  proxyOf,
  unknownPackages,
  unmetDependencies
} from "../../../infra/debian/apt-output.ts"

const digest = "b4a02524fd2be375624d917ee8102a16567e9e8dd786b41c35e22360cdd37f9d"

describe("what apt prints", () => {
  it("becomes locked packages in the order of their names, with epochs and tildes as they are", () =>
    expect(
      packagesOf(
        [
          "Reading package lists...",
          `'http://mirror/pool/s/sudo_1.9~rc1_amd64.deb' sudo_1.9~rc1_amd64.deb 7 SHA256:${digest}`,
          "'http://mirror/pool/o/openssh-server_10.0p1-7%2bdeb13u4_amd64.deb' " +
            `openssh-server_1%3a10.0p1-7+deb13u4_amd64.deb 602372 SHA256:${digest}`
        ].join("\n")
      )
    ).toEqual([
      {
        name: "openssh-server",
        version: "1:10.0p1-7+deb13u4",
        architecture: "amd64",
        size: 602372,
        sha256: digest,
        url: "http://mirror/pool/o/openssh-server_10.0p1-7%2bdeb13u4_amd64.deb"
      },
      {
        name: "sudo",
        version: "1.9~rc1",
        architecture: "amd64",
        size: 7,
        sha256: digest,
        url: "http://mirror/pool/s/sudo_1.9~rc1_amd64.deb"
      }
    ]))

  it("takes no line with another digest than SHA-256 for a package", () =>
    expect(packagesOf("'http://mirror/a_1_all.deb' a_1_all.deb 7 MD5Sum:0123")).toEqual([]))

  it("names what it does not know, in each way it says so", () =>
    expect(
      unknownPackages(
        [
          "E: Unable to locate package ngnix",
          "E: Package 'awk' has no installation candidate",
          "E: Unable to locate package ngnix"
        ].join("\n")
      )
    ).toEqual(["ngnix", "awk"]))

  it("explains in one block why wishes do not fit together", () =>
    expect(
      unmetDependencies(
        [
          "Reading package lists...",
          "The following packages have unmet dependencies:",
          " postfix : Conflicts: mail-transport-agent",
          "E: Unable to correct problems, you have held broken packages."
        ].join("\n")
      )
    ).toBe(
      [
        "The following packages have unmet dependencies:",
        " postfix : Conflicts: mail-transport-agent",
        "E: Unable to correct problems, you have held broken packages."
      ].join("\n")
    ))

  it("is no conflict when apt failed for another reason", () =>
    expect(unmetDependencies("E: Could not get lock")).toBeUndefined())

  it("tells this machine's sources, with or without what they say of themselves", () =>
    expect(
      machineSources("http://mirror/debian/|bookworm|Debian|Debian|main\nhttp://mirror/x/|y|$(ORIGIN)|$(LABEL)|main\n")
    ).toEqual([
      { uri: "http://mirror/debian", suite: "bookworm", origin: "Debian", label: "Debian", component: "main" },
      { uri: "http://mirror/x", suite: "y", origin: "", label: "", component: "main" }
    ]))

  it("hands on how mirrors are reached, and nothing else of this machine", () => {
    const dump = [
      'Acquire "";',
      'Acquire::http::Proxy "http://proxy:3128";',
      'Acquire::Languages "de";',
      'Acquire::Check-Date "false";',
      'APT::Install-Recommends "1";'
    ].join("\n")
    expect(acquireSettings(dump)).toBe('Acquire::http::Proxy "http://proxy:3128";\nAcquire::Check-Date "false";')
    expect(proxyOf(dump, "http")).toBe("http://proxy:3128")
    expect(proxyOf(dump, "https")).toBeUndefined()
  })
})
