/** What a booted machine says of itself, against what was asked of its image. */
import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import { judge as judgeBy, looksOf } from "../../domain/boot-checks.ts"
import type { Sha256 } from "../../domain/boot-checks-files.ts"
import type { TestOptions } from "../../domain/boot-test.ts"
import type { SealedCustomizations } from "../../domain/customizations.ts"
import { Digest } from "../../domain/ids.ts"
import type { Facts } from "../../domain/ports/image-tests.ts"

const sha256: Sha256 = (data, encoding) => createHash("sha256").update(data, encoding).digest("hex")
const judge = (customizations: SealedCustomizations, options: TestOptions, facts: Facts) => judgeBy(customizations, options, facts, sha256)
const file = (mode = "644", [uid, gid]: readonly [number, number] = [0, 0], text?: string) =>
  ({ mode, user: `user ${uid}`, group: `group ${gid}`, uid, gid, ...(text !== undefined && { sha256: sha256(text, "utf8") }) })

const asked: SealedCustomizations = {
  hostname: "box", timezone: "Europe/Berlin", locale: "de_DE.UTF-8",
  packages: ["tree", { name: "nginx", version: "1.2-3" }],
  groups: [{ name: "ops", gid: 2000 }],
  users: [{ name: "ann", uid: 1500, shell: "/bin/bash", groups: ["ops"] }],
  services: { enabled: ["hello"], disabled: ["cron"], masked: ["systemd-timesyncd"] },
  kernel: { append: "mitigations=off audit=0" },
  files: [{ path: "/etc/motd", data: "hi" }, { path: "/tmp/soon-gone", data: "" }],
  directories: [{ path: "/srv/data" }],
  sysctl: { "net.ipv4.ip_forward": 1, "net.ipv4.ping_group_range": "0 10", "net.ipv4.conf.*.rp_filter": 1 }
}
const asAsked: Facts = {
  state: "running", failed: [], hostname: "box", localtime: "/usr/share/zoneinfo/Europe/Berlin", locale: "de_DE.UTF-8",
  kernelArguments: "root=PARTUUID=x ro mitigations=off audit=0 quiet",
  users: new Map([["ann", { uid: 1500, gid: 1500, home: "/home/ann", shell: "/bin/bash" }]]),
  groups: new Map([["ops", { gid: 2000, members: ["bob", "ann"] }], ["ann", { gid: 1500, members: [] }]]),
  packages: new Map([["tree", "2.2"], ["nginx", "1.2-3"]]), listening: new Set(["22:tcp"]),
  units: new Map([
    ["hello", { load: "loaded", active: "inactive", result: "success", file: "enabled" }],
    ["cron", { load: "loaded", active: "inactive", result: "success", file: "disabled" }],
    ["systemd-timesyncd", { load: "masked", active: "inactive", result: "success", file: "masked" }]
  ]),
  files: new Map([["/etc/motd", file("644", [0, 0], "hi")], ["/srv/data", file("755")]]),
  sysctl: new Map([["net.ipv4.ip_forward", "1"], ["net.ipv4.ping_group_range", "0\t10"]]),
  keys: new Map(), sudo: new Map(), certificates: new Set(), keyboard: [], timeServers: [], firewall: [], services: [], environment: [],
  script: { exit: 0, output: "" }
}
const options = { ports: ["22:tcp"], script: "true" }
const wrong = (facts: Partial<Facts>, customizations = asked) =>
  judge(customizations, options, { ...asAsked, ...facts }).filter(({ passed }) => !passed).map(({ isOwn, message, name }) => [name, message, isOwn] as const)

describe("the checks of a boot test", () => {
  it("pass for a machine that is as it was asked for", () => {
    assert.deepStrictEqual(wrong({}), [])
    assert.deepStrictEqual(judge(asked, options, asAsked).map(({ name }) => name), [
      "systemd", "hostname", "timezone", "locale", "package tree", "package nginx", "group ops", "user ann", "service hello", "service cron",
      "service systemd-timesyncd", "kernel argument mitigations=off", "kernel argument audit=0", "file /srv/data", "file /etc/motd",
      "sysctl net.ipv4.ip_forward", "sysctl net.ipv4.ping_group_range", "port 22:tcp", "script"
    ])
  })
  it("look at nothing that was not asked for, but always at systemd", () => assert.deepStrictEqual(judge({}, {}, asAsked).map(({ name }) => name), ["systemd"]))
  it("name what is wrong and what was found", () => {
    assert.deepStrictEqual(wrong({ hostname: "localhost" }), [["hostname", "expected box, found localhost", true]])
    assert.deepStrictEqual(wrong({ localtime: "/usr/share/zoneinfo/Etc/UTC" }), [["timezone", "expected Europe/Berlin, found /usr/share/zoneinfo/Etc/UTC", true]])
    assert.deepStrictEqual(wrong({ packages: new Map([["nginx", "1.2-4"]]) }), [["package tree", "it is not installed", true], ["package nginx", "expected 1.2-3, found 1.2-4", true]])
    assert.deepStrictEqual(wrong({ groups: new Map([["ops", { gid: 2001, members: [] }]]) }), [["group ops", "its number is 2001, not 2000", true], ["user ann", "not in group ops", true]])
    assert.deepStrictEqual(wrong({ users: new Map() }), [["user ann", "there is no such user", true]])
    assert.deepStrictEqual(wrong({ listening: new Set(["80:tcp"]) }), [["port 22:tcp", "nobody listens there; there is 80:tcp", true]])
    assert.deepStrictEqual(wrong({ kernelArguments: "quiet mitigations=off" }), [["kernel argument audit=0", "found quiet mitigations=off", true]])
    assert.deepStrictEqual(wrong({ files: new Map() }).map(([name]) => name), ["file /srv/data", "file /etc/motd"])
    assert.deepStrictEqual(wrong({ sysctl: new Map([["net.ipv4.ip_forward", "0"]]) }), [["sysctl net.ipv4.ip_forward", "expected 1, found 0", true]])
    assert.deepStrictEqual(wrong({ script: { exit: 3, output: "no database" } }), [["script", "it ended with 3:\nno database", true]])
    assert.deepStrictEqual(judge({}, options, { ...asAsked, script: { exit: 0, output: "147" } }).at(-1), { name: "script", passed: true, message: "147", isOwn: true })
    const { script: _, ...unrun } = asAsked
    assert.deepStrictEqual(judge({}, options, unrun).filter(({ passed }) => !passed).map(({ message }) => message), ["it was not run"])
  })
  it("take a service that has done its work for a good one, and one that has failed for none", () => {
    const unit = (active: string, result = "success", file = "enabled") => ({ units: new Map([...asAsked.units, ["hello", { load: "loaded", active, result, file }]]) })
    for (const active of ["active", "activating", "inactive"]) assert.deepStrictEqual(wrong(unit(active)), [])
    assert.deepStrictEqual(wrong(unit("failed", "exit-code")), [["service hello", "loaded, failed, result exit-code", true]])
    assert.deepStrictEqual(wrong({ units: new Map([["cron", asAsked.units.get("hello")!]]) }).map(([name]) => name), ["service hello", "service cron"])
  })
  it("hold the platform to account for a broken system, unless the requester has brought what may break it", () => {
    const degraded = { state: "degraded", failed: [{ unit: "nginx.service", said: "port in use" }] }
    assert.deepStrictEqual(wrong(degraded, { hostname: "box" }), [["systemd", "its state is degraded, not running\nnginx.service has failed:\nport in use", false]])
    assert.strictEqual(wrong(degraded, { packages: ["tree"] })[0]![2], true)
  })
  it("let what belongs to a cloud fail where there is none, but not the requester's own cloud-init", () => {
    const alone = { state: "degraded", failed: [{ unit: "cloud-init-local.service", said: "" }, { unit: "google-guest-agent.service", said: "" }] }
    assert.deepStrictEqual(wrong(alone, {}), [])
    assert.strictEqual(wrong(alone, { cloud_init: { user_data: "#cloud-config" } })[0]![0], "systemd")
    assert.strictEqual(wrong({ ...alone, failed: [...alone.failed, { unit: "ssh.service", said: "no keys" }] }, {})[0]![1], "its state is degraded, not running\nssh.service has failed:\nno keys")
    // Degraded by nobody, or starting for ever.
    for (const state of ["degraded", "starting", ""]) assert.strictEqual(wrong({ state }, {}).length, 1, state)
  })
  it("do not look for files that a first boot may take away", () => {
    assert.deepStrictEqual(looksOf(asked).files, ["/srv/data", "/etc/motd"])
    assert.deepStrictEqual(looksOf({ ...asked, first_boot: { script: "rm /etc/motd" } }).files, [])
    assert.deepStrictEqual(looksOf(asked).sysctl, ["net.ipv4.ip_forward", "net.ipv4.ping_group_range"])
  })
  it("say of a file whose mode, owner and group are others than was asked for, by name or by number", () => {
    const path = "/etc/motd"
    const found = (mode: string, ids: readonly [number, number]) => ({ files: new Map([[path, file(mode, ids)]]) })
    const faults = (more: object, mode: string, ids: readonly [number, number]) => wrong(found(mode, ids), { files: [{ path, data: "", ...more }] })
    assert.deepStrictEqual(faults({ mode: "0640", user: "ann", group: "ops" }, "640", [1500, 2000]), [])
    assert.deepStrictEqual(faults({ user: 1500, group: 2000 }, "600", [1500, 2000]), [])
    assert.deepStrictEqual(faults({}, "600", [1500, 2000]), [])
    assert.deepStrictEqual(faults({ mode: "4755", user: "ann", group: 7 }, "755", [0, 2000]), [
      ["file /etc/motd", "its mode is 755, not 4755; its owner is user 0, not ann; its group is group 2000, not 7", true]
    ])
    assert.deepStrictEqual(faults({ user: "nobody-known" }, "644", [0, 0]).length, 1)
    const directories = [{ path: "/srv/data", mode: "0700" }]
    assert.deepStrictEqual(wrong({}, { directories }), [["file /srv/data", "its mode is 755, not 0700", true]])
    assert.deepStrictEqual(wrong({}, { directories, cloud_init: { user_data: "#!/bin/sh\nchmod 755 /srv/data" } }), [])
  })
  it("say of a file that holds something else, unless what was run may have changed it or the machine has", () => {
    const other = { files: new Map([["/etc/motd", file("644", [0, 0], "ho")]]) }
    const inline = { files: [{ path: "/etc/motd", data: "hi" }] }
    assert.deepStrictEqual(wrong(other, inline), [["file /etc/motd", `its SHA-256 is ${sha256("ho", "utf8")}, not ${sha256("hi", "utf8")}`, true]])
    for (const same of [{ data: "aG8=", data_encoding: "base64" as const }, { digest: Digest.make(`sha256:${sha256("ho", "utf8")}`) }]) {
      assert.deepStrictEqual(wrong(other, { files: [{ path: "/etc/motd", ...same }] }), [])
    }
    assert.strictEqual(wrong(other, { files: [{ path: "/etc/motd", digest: Digest.make(`sha256:${"0".repeat(64)}`) }] }).length, 1)
    assert.deepStrictEqual(wrong({ files: new Map([["/etc/motd", file()]]) }, inline), [])
    assert.deepStrictEqual(wrong(other, { ...inline, cloud_init: { user_data: "#cloud-config" } }), [])
    assert.deepStrictEqual(wrong(other, { ...inline, first_boot: { script: "#!/bin/sh" } }), [])
  })
})

describe("settings that the builder has put into files", () => {
  const line = "A".repeat(63)
  const wanted: SealedCustomizations = {
    users: [{ name: "ann", keys: ["ssh-ed25519 AAAA ann@home", "ssh-ed25519 BBBB"], sudo: true }, { name: "bob", keys: ["ssh-ed25519 CCCC"] }],
    keyboard: { layout: "de", variant: "nodeadkeys" },
    cacerts: { pem_certs: [1, 2].map((n) => `-----BEGIN CERTIFICATE-----\n${"x".repeat(64)}\n${line}${n}\nrest=\n-----END CERTIFICATE-----\n`) },
    ntp_servers: ["a.example", "b.example"],
    firewall: { ports: ["8443:tcp", "6000-6010:udp", "imap2:tcp"], services: { enabled: ["https"] } },
    proxy: { http: "http://proxy:3128", no_proxy: [".local", "10.0.0.0/8"] }
  }
  const found: Facts = {
    ...asAsked,
    users: new Map([...asAsked.users, ["bob", { uid: 1501, gid: 1501, home: "/home/bob", shell: "/bin/bash" }]]),
    keys: new Map([["ann", ["ssh-ed25519 AAAA ann@home", "ssh-ed25519 BBBB"]], ["bob", ["# bob's", "ssh-ed25519 CCCC"]]]),
    sudo: new Map([["ann", ["User ann may run the following commands on box:", "    (ALL : ALL) NOPASSWD: ALL"]]]),
    certificates: new Set([`${line}1`, `${line}2`]),
    keyboard: ["XKBMODEL=\"pc105\"", "XKBLAYOUT=\"de\"", "XKBVARIANT=\"nodeadkeys\""],
    timeServers: ["a.example b.example"],
    firewall: ["\t\ttype filter hook input priority filter; policy drop;", "\t\ttcp dport 8443 accept", "\t\tudp dport 6000-6010 accept", ...["tcp dport 22", "tcp dport 143", "tcp dport 443", "udp dport 443"].map((rule) => `\t\t${rule} accept`)],
    services: ["ssh\t\t22/tcp\t\t# SSH Remote Login Protocol", "imap2\t\t143/tcp\t\timap\t# Interim Mail", "https\t\t443/tcp", "https\t\t443/udp", "https 1/sctp"],
    environment: ["http_proxy=http://proxy:3128", "HTTP_PROXY=http://proxy:3128", "no_proxy=.local,10.0.0.0/8"]
  }
  const faults = (facts: Partial<Facts>, customizations = wanted) =>
    judge(customizations, {}, { ...found, ...facts }).flatMap(({ message, name, passed }) => passed ? [] : [[name, message]])

  it("are looked at, each by its name", () => {
    assert.deepStrictEqual(faults({}), [])
    assert.deepStrictEqual(judge(wanted, {}, found).slice(3).map(({ name }) => name), [
      "keys of ann", "keys of bob", "sudo of ann", "keyboard", "certificate 1", "certificate 2", "time servers", "firewall", "firewall 8443:tcp", "firewall 6000-6010:udp",
      "firewall imap2:tcp", "firewall ssh", "firewall https", "http_proxy", "no_proxy"
    ])
    assert.deepStrictEqual(looksOf(wanted).certificates, [`${line}1`, `${line}2`])
  })
  it("are said of where they are others, or none", () => {
    assert.deepStrictEqual(faults({ keys: new Map([["ann", ["ssh-ed25519 AAAA", "ssh-ed25519 BBBBB"]]]) }), [
      ["keys of ann", "1 of 2 not in authorized_keys; the first is ssh-ed25519 BBBB"], ["keys of bob", "1 of 1 not in authorized_keys; the first is ssh-ed25519 CCCC"]
    ])
    assert.deepStrictEqual(faults({ sudo: new Map([["ann", ["    (ALL : ALL) ALL"]]]) }), [["sudo of ann", "    (ALL : ALL) ALL"]])
    assert.deepStrictEqual(faults({ sudo: new Map() }), [["sudo of ann", "sudo knows of nothing that is allowed"]])
    assert.deepStrictEqual(faults({ keyboard: ["XKBLAYOUT=us", "XKBVARIANT="] }), [["keyboard", "expected de nodeadkeys, found us"]])
    assert.deepStrictEqual(faults({ certificates: new Set([`${line}1`]) }).map(([name]) => name), ["certificate 2"])
    assert.deepStrictEqual(faults({ timeServers: ["a.example"] }), [["time servers", "expected a.example b.example, found a.example"]])
    assert.deepStrictEqual(faults({ firewall: ["\t\tudp dport 6000-6010 accept"] }).map(([name]) => name), [
      "firewall", "firewall 8443:tcp", "firewall imap2:tcp", "firewall ssh", "firewall https"
    ])
    assert.deepStrictEqual(faults({ firewall: found.firewall.filter((line) => !line.includes("udp dport 443")) }), [["firewall https", "it is not open"]])
    assert.deepStrictEqual(faults({ services: found.services.slice(0, 1) }).map(([name, why]) => [name, why]), [
      ["firewall imap2:tcp", "/etc/services of the machine does not know it"], ["firewall https", "/etc/services of the machine does not know it"]
    ])
  })
  it("say of a service that is to be shut whether it is, unless its port was asked for", () => {
    const firewall = (ports: ReadonlyArray<string>) => ({ ports, services: { disabled: ["ssh"] } })
    assert.deepStrictEqual(faults({}, { firewall: firewall([]) }), [["firewall ssh", "it is open"]])
    assert.deepStrictEqual(faults({}, { firewall: firewall(["22:tcp"]) }), [])
    assert.deepStrictEqual(faults({}, { firewall: firewall([]), files: [{ path: "/etc/services", data: "" }] }).map(([name]) => name), ["file /etc/services"])
  })
  it("are said of where they are none of the others", () => {
    assert.deepStrictEqual(faults({ environment: ["http_proxy=http://other:1"] }), [
      ["http_proxy", "expected http://proxy:3128, found http://other:1"], ["no_proxy", "expected .local,10.0.0.0/8, found nothing"]
    ])
  })
  it("are not looked at where the requester's own file is in their place, or what was run may have changed them", () => {
    const none: Partial<Facts> = { keys: new Map(), sudo: new Map(), certificates: new Set(), keyboard: [], timeServers: [], firewall: [], services: [], environment: [] }
    const paths = [
      "/home/ann/.ssh/authorized_keys", "/home/bob/.ssh/authorized_keys", "/etc/sudoers.d/90-kiln-ann", "/etc/default/keyboard", "/etc/systemd/timesyncd.conf.d/90-kiln.conf",
      "/etc/nftables.conf", "/etc/environment"
    ]
    const files = paths.map((path) => ({ path, data: "" }))
    assert.deepStrictEqual(faults({ ...none, files: new Map(paths.map((path) => [path, file()])) }, { ...wanted, files }).map(([name]) => name), ["certificate 1", "certificate 2"])
    assert.deepStrictEqual(faults(none, { ...wanted, first_boot: { script: "#!/bin/sh" } }), [])
    assert.deepStrictEqual(faults(none, { ...wanted, cloud_init: { user_data: "#cloud-config" } }), [])
  })
})
