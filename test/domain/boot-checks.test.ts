/** What a booted machine says of itself, against what was asked of its image. */
import { assert, describe, it } from "@effect/vitest"
import { judge, looksOf } from "../../domain/boot-checks.ts"
import type { SealedCustomizations } from "../../domain/customizations.ts"
import type { Facts } from "../../domain/ports/image-tests.ts"

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
  files: new Map([["/etc/motd", { mode: "644", user: "root", group: "root" }], ["/srv/data", { mode: "755", user: "root", group: "root" }]]),
  sysctl: new Map([["net.ipv4.ip_forward", "1"], ["net.ipv4.ping_group_range", "0\t10"]]),
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
})
