import { Exit, Schema, SchemaIssue } from "effect"
import { describe, expect, it } from "vitest"
import { customizationFaults } from "../../domain/customization-faults.ts"
import { Customizations } from "../../domain/customizations.ts"

const decode = Schema.decodeUnknownExit(Customizations, { errors: "all", onExcessProperty: "error" })
const issues = SchemaIssue.makeFormatterStandardSchemaV1()

/** Where a document is not what the schema says. */
const wrongAt = (value: unknown): ReadonlyArray<string> => {
  const decoded = decode(value)
  if (Exit.isSuccess(decoded)) return []
  const error = Exit.findErrorOption(decoded)
  return error._tag === "Some" ? issues(error.value.issue).issues.map(({ path = [] }) => path.map(String).join(".")) : []
}

const armored = "-----BEGIN PGP PUBLIC KEY BLOCK-----\nComment: a-b\n\nmDMEZ+/=\n-----END PGP PUBLIC KEY BLOCK-----\n"
const own = { id: "own", uri: "http://apt.example.org", suite: "stable", key: armored }

describe("customizations", () => {
  it("take one of everything", () =>
    expect(wrongAt({
      repositories: [{
        id: "own", uri: "https://apt.example.org:8443/debian/", suite: "stable/updates", components: ["main", "non-free"], key: armored, priority: 700,
        install_in_image: true
      }],
      packages: ["nginx", { name: "curl" }, { name: "vim", version: "2:9.1.1230-2+deb13u1~x" }],
      users: [{ name: "ann", description: "Ann, of the web team", gid: 2000, uid: 2000, expiredate: "2031-01-31", groups: ["devs"] }],
      groups: [{ name: "devs", gid: 3000 }, { name: "ops" }],
      ntp_servers: ["ntp.example.org"],
      keyboard: { layout: "de", variant: "nodeadkeys" },
      kernel: { name: "linux-image-amd64", append: "mitigations=off,nosmt crashkernel=1G-4G:192M isolcpus=1" },
      files: [{ path: "/a", data: "aGk=", data_encoding: "base64", user: 0, group: "adm", ensure_parents: false }],
      directories: [{ path: "/srv/data", mode: "2770", user: "ann", group: 3000 }],
      firewall: { ports: ["22:tcp", "6000-6010:udp", "imap:tcp"], services: { enabled: ["https"], disabled: ["ssh"] } },
      cacerts: { pem_certs: ["-----BEGIN CERTIFICATE-----"] },
      first_boot: { script: "#!/bin/sh\n" },
      cloud_init: { user_data: "#cloud-config\n" },
      sysctl: { "net.ipv4.ip_forward": 1, "kernel.core_pattern": "|/bin/false", "net/ipv4/conf/eth0.1/rp_filter": "0" },
      proxy: { http: "http://proxy.example.org:3128", https: "http://10.0.0.1:3128/", no_proxy: ["localhost", ".example.org", "10.0.0.0/8"] }
    })).toEqual([]))

  it.each([
    ["a package's version with a space", { packages: [{ name: "vim", version: "1 2" }] }, "packages.0.version"],
    ["a version that is a pattern", { packages: [{ name: "vim", version: "9.*" }] }, "packages.0.version"],
    ["a version in a name", { packages: ["vim=9.1"] }, "packages.0"],
    ["an unknown field of a package", { packages: [{ name: "vim", epoch: 1 }] }, "packages.0.epoch"],
    ["a repository's address with a password", { repositories: [{ ...own, uri: "https://ann:secret@apt.example.org/" }] }, "repositories.0.uri"],
    ["a repository on a disk", { repositories: [{ ...own, uri: "file:///etc" }] }, "repositories.0.uri"],
    ["a repository's address with options of apt", { repositories: [{ ...own, uri: "http://a.b/ [trusted=yes]" }] }, "repositories.0.uri"],
    ["a suite that leads back", { repositories: [{ ...own, suite: "../../etc/" }] }, "repositories.0.suite"],
    ["a suite of two words", { repositories: [{ ...own, suite: "stable main" }] }, "repositories.0.suite"],
    ["a repository without a key", { repositories: [{ id: "own", uri: own.uri, suite: "stable" }] }, "repositories.0.key"],
    ["a key that is private", { repositories: [{ ...own, key: armored + armored.replaceAll("PUBLIC", "PRIVATE") }] }, "repositories.0.key"],
    ["a private key among public ones", { repositories: [{ ...own, key: armored + armored.replaceAll("PUBLIC", "PRIVATE") + armored }] }, "repositories.0.key"],
    ["a repository's name that is a path", { repositories: [{ ...own, id: "../own" }] }, "repositories.0.id"],
    ["a description with a colon", { users: [{ name: "a", description: "a:0:0" }] }, "users.0.description"],
    ["a group's number below people's", { groups: [{ name: "a", gid: 0 }] }, "groups.0.gid"],
    ["a day that is none", { users: [{ name: "a", expiredate: "tomorrow" }] }, "users.0.expiredate"],
    ["a layout with quotes", { keyboard: { layout: "de\"; x" } }, "keyboard.layout"],
    ["a kernel argument with a line feed", { kernel: { append: "quiet\ninit=/bin/sh" } }, "kernel.append"],
    ["a kernel argument with a quote", { kernel: { append: "a=\"b c\"" } }, "kernel.append"],
    ["a kernel that is none", { kernel: { name: "busybox" } }, "kernel.name"],
    ["a file of a number too big", { files: [{ path: "/a", data: "", user: 65_536 }] }, "files.0.user"],
    ["an unknown encoding", { files: [{ path: "/a", data: "", data_encoding: "gzip" }] }, "files.0.data_encoding"],
    ["a directory that leads back", { directories: [{ path: "/srv/../etc" }] }, "directories.0.path"],
    ["a directory below /proc", { directories: [{ path: "/proc/self" }] }, "directories.0.path"],
    ["a port without protocol", { firewall: { ports: ["22"] } }, "firewall.ports.0"],
    ["a port that is a rule", { firewall: { ports: ["22:tcp accept; flush ruleset"] } }, "firewall.ports.0"],
    ["a service that is a rule", { firewall: { services: { enabled: ["ssh }"] } } }, "firewall.services.enabled.0"],
    ["a setting with two lines", { sysctl: { "net.ipv4.ip_forward": "1\nkernel.x = 2" } }, "sysctl.net.ipv4.ip_forward"],
    ["a setting with a space in its name", { sysctl: { "a b.c": "1" } }, "sysctl.a b.c"],
    ["a proxy with a password", { proxy: { http: "http://ann:secret@proxy:3128" } }, "proxy.http"],
    ["a proxy that is no address", { proxy: { https: "proxy:3128\";" } }, "proxy.https"],
    ["a time server that is an option", { ntp_servers: ["-x"] }, "ntp_servers.0"]
  ])("refuse %s, with its place", (_, value, place) => expect(wrongAt(value)).toEqual([place]))
})

describe("what no single field shows", () => {
  it("is no fault of a repository where the operator allows it", () =>
    expect(customizationFaults({ repositories: [{ ...own, uri: "http://127.0.0.1:8080/" }] }, true)).toEqual([]))

  it.each([
    "UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Asia/Calcutta", "US/Pacific", "EST5EDT", "Etc/GMT+5", "GMT-0", "Factory", "posix/Europe/Berlin"
  ])("is nothing for the time zone %s", (timezone) => expect(customizationFaults({ timezone })).toEqual([]))

  it.each(["C", "POSIX", "C.UTF-8", "de_DE.UTF-8", "sr_RS@latin", "iw_IL", "nan_TW@latin", "agr_PE", "mnw_MM", "eo", "de_DE@euro"])(
    "is nothing for the locale %s", (locale) => expect(customizationFaults({ locale })).toEqual([])
  )

  it("is nothing for what fits together", () =>
    expect(customizationFaults({
      packages: ["vim", "vim", { name: "vim", version: "9" }],
      groups: [{ name: "a" }, { name: "b" }],
      files: [{ path: "/a", data: "aGk=", data_encoding: "base64" }, { path: "/b", data: "not base64 at all" }],
      directories: [{ path: "/c" }],
      firewall: { ports: ["1:tcp", "1-65535:udp", "ssh:tcp"] },
      first_boot: { script: "#!/bin/sh\nreboot\n" },
      cloud_init: { user_data: "#cloud-config\nruncmd: []\n" }
    })).toEqual([]))

  it.each([
    ["two users of one name", { users: [{ name: "a" }, { name: "a" }] }, "users[1].name"],
    ["two groups of one number", { groups: [{ name: "a", gid: 2000 }, { name: "b", gid: 2000 }] }, "groups[1].gid"],
    ["two files at one path", { files: [{ path: "/a", data: "" }, { path: "/b", data: "" }, { path: "/a", data: "" }] }, "files[2].path"],
    ["a directory at a file's path", { files: [{ path: "/a", data: "" }], directories: [{ path: "/a" }] }, "directories[0].path"],
    ["two repositories of one name", { repositories: [own, own] }, "repositories[1].id"],
    ["components where there can be none", { repositories: [{ ...own, suite: "./", components: ["main"] }] }, "repositories[0].components"],
    ["a repository of the machine itself", { repositories: [{ ...own, uri: "http://localhost:8080/" }] }, "repositories[0].uri"],
    ["a repository of the machine's link", { repositories: [{ ...own, uri: "http://169.254.169.254/latest" }] }, "repositories[0].uri"],
    ["two versions of a package", { packages: [{ name: "a", version: "1" }, { name: "a", version: "2" }] }, "packages[1].version"],
    ["base64 that is none", { files: [{ path: "/a", data: "a$==", data_encoding: "base64" as const }] }, "files[0].data"],
    ["base64 of a wrong length", { files: [{ path: "/a", data: "aGk", data_encoding: "base64" as const }] }, "files[0].data"],
    ["a file that is too long", { files: [{ path: "/a", data: "x".repeat(600_000) }] }, "files[0].data"],
    ["a port beyond the last", { firewall: { ports: ["65536:tcp"] } }, "firewall.ports[0]"],
    ["no port", { firewall: { ports: ["0:tcp"] } }, "firewall.ports[0]"],
    ["a range the wrong way round", { firewall: { ports: ["20-10:tcp"] } }, "firewall.ports[0]"],
    ["a time zone of another planet", { timezone: "Mars/Olympus" }, "timezone"],
    ["a time zone in other letters", { timezone: "Europe/berlin" }, "timezone"],
    ["an offset for a time zone", { timezone: "+02" }, "timezone"],
    ["a locale of no country", { locale: "de_XX.UTF-8" }, "locale"],
    ["a locale of no language", { locale: "xx_DE.UTF-8" }, "locale"],
    ["no certificates", { cacerts: { pem_certs: [] } }, "cacerts.pem_certs"],
    ["a script that says not what runs it", { first_boot: { script: "reboot\n" } }, "first_boot.script"],
    ["user data that cloud-init would pass over", { cloud_init: { user_data: "runcmd: []\n" } }, "cloud_init.user_data"]
  ])("is %s, with its place", (_, customizations: Customizations, path) =>
    expect(customizationFaults(customizations).map((fault) => fault.path)).toEqual([path]))
})
