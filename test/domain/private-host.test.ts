import { describe, expect, it } from "vitest"
import { isPrivateAddress, isPrivateHost } from "../../domain/private-host.ts"

describe("an address of the machine itself, or of its link", () => {
  it.each([
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "169.254.169.254", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "febf::1",
    "ff02::1", "::ffff:127.0.0.1", "::ffff:7f00:1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::169.254.169.254", "fd00:ec2::254", "0:0:0:0:0:0:0:1", "no address"
  ])("is %s", (address) => expect(isPrivateAddress(address)).toBe(true))

  it.each(["10.0.0.1", "192.168.1.1", "128.0.0.1", "93.184.216.34", "2001:db8::1", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::5db8:d822", "fec0::1"])(
    "is not %s", (address) => expect(isPrivateAddress(address)).toBe(false))
})

describe("a host's name that means the machine itself", () => {
  it.each(["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "127.0.0.0x1", "0177.0.0.1", "999.1.1.1"])(
    "is %s", (host) => expect(isPrivateHost(host)).toBe(true))
  it.each(["example.org", "deb.debian.org", "10.0.0.1", "localhost.example.org", "1.example", "x127.0.0.1.example"])(
    "is not %s", (host) => expect(isPrivateHost(host)).toBe(false))
})
