import { describe, expect, it } from "vitest"
import { Digest } from "../../../domain/ids.ts"
import { customizationFiles, missingSecrets, passwordHash } from "../../../infra/debian/customization-files.ts"
import { hiding } from "../../../infra/process/hiding.ts"
import { saltOf, sha512Crypt } from "../../../infra/debian/sha512-crypt.ts"

const sealed = { keyId: "k", nonce: "n", ciphertext: "c", fingerprint: "f" }

describe("a request as data files", () => {
  it("has a file for each value and none for what was not asked for", () =>
    expect(
      customizationFiles({ hostname: "box", users: [{ name: "ann", keys: ["k1", "k2"], sudo: false }] }, new Map())
    ).toEqual([
      { path: "./hostname", text: "box" },
      { path: "users/0000/name", text: "ann" },
      { path: "users/0000/groups", text: "" },
      { path: "users/0000/keys", text: "k1\nk2\n" }
    ]))

  it("never makes a name of a file from what was asked for", () => {
    const hostile = "../../$(reboot) '\"\\"
    const files = customizationFiles(
      { files: [{ path: `/opt/${hostile}`, data: hostile }], services: { enabled: [hostile] } },
      new Map()
    )
    expect(files.filter(({ path }) => !/^[a-z0-9./]+$/.test(path) || path.includes(".."))).toEqual([])
    expect(files.find(({ path }) => path === "files/0000/path")?.text).toBe(`/opt/${hostile}`)
  })

  it("carries the hash of a password, not the seal", () => {
    const files = customizationFiles({ users: [{ name: "ann", password: sealed }] }, new Map([["ann", "$6$s$h"]]))
    expect(files.find(({ path }) => path === "users/0000/password")?.text).toBe("$6$s$h")
    expect(files.some(({ text }) => String(text).includes("ciphertext"))).toBe(false)
  })

  it("names where a stored file lies, and reads it where it is a unit to be enabled", () => {
    const digest = Digest.make(`sha256:${"a".repeat(64)}`)
    const stored = new Map([[digest, { at: "/staged/aaaa", text: "[Install]\nWantedBy=multi-user.target\n" }]])
    const files = customizationFiles(
      { files: [{ path: "/etc/systemd/system/tool.service", digest }], services: { enabled: ["tool"] } }, new Map(), stored)
    expect(files.find(({ path }) => path === "files/0000/data")?.text).toEqual(stored.get(digest))
    expect(files.find(({ path }) => path === "links/0000/path")?.text).toBe("/etc/systemd/system/multi-user.target.wants/tool.service")
  })

  it("puts user data beside a cloud's, which goes first, and in its place where there is none", () => {
    const placesOf = (user_data: string, asksCloud: boolean) =>
      customizationFiles({ cloud_init: { user_data } }, new Map(), new Map(), asksCloud).flatMap(({ path, text }) => path.endsWith("/path") ? [text] : [])
    expect(placesOf("#cloud-config\n", false)).toContain("/var/lib/cloud/seed/nocloud/user-data")
    expect(placesOf("#cloud-config\n", true)).toEqual(["/etc/cloud/cloud.cfg.d/95-kiln-user-data.cfg"])
    expect(placesOf("#!/bin/sh\n", true)).toEqual(["/var/lib/cloud/scripts/per-instance/90-kiln-user-data"])
  })

  it("carries bytes as they are", () => {
    const files = customizationFiles({ files: [{ path: "/a", data: "/wAB", data_encoding: "base64" }] }, new Map())
    expect(files.find(({ path }) => path === "files/0000/data")?.text).toEqual(Buffer.from([0xff, 0, 1]))
  })

  it("puts its own files before those of the tenant, who may have the last word", () => {
    const files = customizationFiles(
      { sysctl: { "b.c": 2, "a.b": "1" }, files: [{ path: "/etc/sysctl.d/90-kiln.conf", data: "mine\n" }] },
      new Map()
    )
    const of = (name: string) => files.filter(({ path }) => path.endsWith(name)).map(({ text }) => text)
    expect([of("/path"), of("/data")]).toEqual([
      ["/etc/sysctl.d/90-kiln.conf", "/etc/sysctl.d/90-kiln.conf"],
      ["a.b = 1\nb.c = 2\n", "mine\n"]
    ])
  })

  it("leaves SSH open, unless it is disabled", () => {
    const open = (services: object) =>
      customizationFiles({ firewall: { ports: ["80:tcp"], services } }, new Map()).find(({ path }) => path === "firewall/services")?.text
    expect(open({ enabled: ["https"] })).toBe("https\nssh\n")
    expect(open({ disabled: ["ssh"] })).toBe("")
  })

  it("has a proxy for apt and for all other programs", () => {
    const files = customizationFiles(
      { proxy: { http: "http://proxy:3128", no_proxy: ["mirror.example.org", ".example.org"] } },
      new Map()
    )
    expect(files.find(({ path }) => path === "./environment")?.text).toBe(
      "http_proxy=http://proxy:3128\nHTTP_PROXY=http://proxy:3128\n" +
        "no_proxy=mirror.example.org,.example.org\nNO_PROXY=mirror.example.org,.example.org\n"
    )
    expect(files.find(({ path }) => path === "files/0000/data")?.text).toBe(
      'Acquire::http::Proxy "http://proxy:3128";\n' +
        'Acquire::http::Proxy::mirror.example.org "DIRECT";\nAcquire::https::Proxy::mirror.example.org "DIRECT";\n'
    )
  })

  it("knows which secrets should have come with it", () =>
    expect(missingSecrets({ users: [{ name: "ann", password: sealed }, { name: "bob" }] }, new Map())).toEqual([
      "users.ann.password"
    ]))
})

describe("a password", () => {
  it.each([
    [
      "Hello world!",
      "saltstring",
      "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"
    ],
    [
      "ü€",
      "abcdefgh12345678",
      "$6$abcdefgh12345678$a5L9URO4MZrfC4i/NRU0E46yX2cZ56kFC.SUYhHod7MD5nEo9QJrfRw2Q7VI7tMkblCi9htaMR9rEIvdAnlQs0"
    ]
  ])("is hashed as the C library does: %s", (password, salt, hash) => expect(sha512Crypt(password, salt)).toBe(hash))

  it("that is a hash already stays as it is", () =>
    expect(passwordHash("ann", "$6$abc$defGHI./", "f")).toBe("$6$abc$defGHI./"))
  it("that only looks like one at its beginning is hashed", () =>
    expect(passwordHash("ann", "$6 dollars", "f")).toMatch(/^\$6\$[./0-9A-Za-z]{16}\$[./0-9A-Za-z]{86}$/))
  it("gives the same hash for the same seal, and another for another user", () => {
    expect(passwordHash("ann", "secret", "f")).toBe(passwordHash("ann", "secret", "f"))
    expect(passwordHash("bob", "secret", "f")).not.toBe(passwordHash("ann", "secret", "f"))
  })
  it("has a salt of the alphabet that crypt takes", () => expect(saltOf("seed")).toMatch(/^[./0-9A-Za-z]{16}$/))
  it("is hidden in what tools say", () =>
    expect(hiding(["pass", "password"])("the password is pass")).toBe("the *** is ***"))
})
