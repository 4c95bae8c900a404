import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { asksForLogin, doomOf, plainText, saysReady, stageOf } from "../../../infra/qemu/console.ts"
import { answered, factsOf, lookProgram } from "../../../infra/qemu/facts.ts"

describe("a serial console", () => {
  it("is read without colours, cursor movements and carriage returns", () =>
    expect(plainText("\u001b[2J\u001b[01;01H\u001b[=3h\u001b]0;title\u0007\u001b[0;32mOK\u001b[0m\r\r\nnext\u0000\r\n")).toBe("OK\nnext\n"))
  it("tells how far a boot has come", () => {
    expect(stageOf("")).toBe("firmware")
    expect(stageOf("BdsDxe: loading Boot0001")).toBe("firmware")
    expect(stageOf("SYSLINUX 6.04\n")).toBe("kernel")
    expect(stageOf("[    0.000000] Linux version 6.12")).toBe("kernel")
    expect(stageOf("[    3.1] systemd[1]: Detected architecture")).toBe("userspace")
  })
  it("tells a prompt and a mark from what only looks like them", () => {
    expect(asksForLogin("Debian GNU/Linux 13 box ttyS0\n\nbox login: ")).toBe(true)
    expect(asksForLogin("Starting login: manager\n")).toBe(false)
    expect(saysReady("box login: \nKILN-READY box 6.12\n")).toBe(true)
    expect(saysReady("box login: KILN-READY box 6.12\n")).toBe(true)
    expect(saysReady("KILN-READY box")).toBe(false)
    expect(asksForLogin("box login: [   20.1] late words")).toBe(true)
  })
  it("tells what will never end well", () => {
    expect(doomOf("all is well")).toBeUndefined()
    expect(doomOf("end Kernel panic - not syncing: x")).toContain("panicked")
    expect(doomOf("ALERT!  /dev/vda2 does not exist.  Dropping to a shell!\n(initramfs) ")).toContain("root file system")
    expect(doomOf("You are in emergency mode. After logging in")).toContain("rescue shell")
  })
})

describe("the program for a machine's agent", () => {
  it("takes names for data, whatever is in them", () => {
    const hostile = ["/etc/a b'c\"d", "/etc/$(touch /tmp/never)", "KILN", "-n", "/etc/`x`\\"]
    const program = lookProgram({ files: hostile, units: ["KILN-END", "a\\x2db.service"], sysctl: [], script: "echo hi\n" }, 60)
    const said = execFileSync("sh", ["-s"], { input: `${program.slice(0, program.indexOf("# Sent to"))}\nfiles\necho --\nunits\necho --\nprogram`, encoding: "utf8" })
    expect(said).toBe(`${hostile.join("\n")}\n--\nKILN-END\na\\x2db.service\n--\necho hi\n`)
  })
  it("says who owns files and folders and what is in them, of a file that was written to since the machine began not", () => {
    const dir = mkdtempSync(join(tmpdir(), "kiln look "))
    try {
      const [old, fresh] = [join(dir, "old"), join(dir, "fresh")]
      for (const path of [old, fresh]) writeFileSync(path, "hi", { mode: 0o640 })
      utimesSync(old, 1e9, 1e9)
      const program = lookProgram({ files: [old, fresh, dir, join(dir, "none")], units: [], sysctl: [], certificates: ["no such line"] }, 5)
      // The part about files alone: the rest asks programs of whatever machine this is.
      const part = program.slice(program.indexOf("part() {"), program.indexOf("timeout \"$LIMIT\" systemctl"))
      const look = program.slice(program.indexOf("began="), program.indexOf("keys | while"))
      const said = execFileSync("sh", ["-s"], { input: `${program.slice(0, program.indexOf("# Sent to"))}${part}${look}`, encoding: "utf8" })
      const { files } = factsOf(said)
      const ids = { uid: process.getuid!(), gid: process.getgid!() }
      expect(files.get(old)).toMatchObject({ mode: "640", ...ids, sha256: createHash("sha256").update("hi").digest("hex") })
      expect(files.get(fresh)).toMatchObject({ mode: "640", ...ids })
      expect(files.get(fresh)).not.toHaveProperty("sha256")
      expect(files.get(dir)).toMatchObject({ mode: "700", ...ids })
      expect(files.has(join(dir, "none"))).toBe(false)
    } finally {
      rmSync(dir, { recursive: true })
    }
  })
  const bundle = "/etc/ssl/certs/ca-certificates.crt"
  it.skipIf(!existsSync(bundle))("finds the lines of certificates that are in the bundle, and no others", () => {
    const line = readFileSync(bundle, "utf8").split("\n").find((each) => each.length === 64)!
    const program = lookProgram({ files: [], units: [], sysctl: [], certificates: [line, line.slice(1), "-e"] }, 5)
    const look = program.slice(program.indexOf("certificates | while"), program.indexOf("cat /etc/default/keyboard"))
    const part = program.slice(program.indexOf("part() {"), program.indexOf("timeout \"$LIMIT\" systemctl"))
    const said = execFileSync("sh", ["-s"], { input: `${program.slice(0, program.indexOf("# Sent to"))}${part}${look}`, encoding: "utf8" })
    expect([...factsOf(said).certificates]).toEqual([line])
  })
  it("is a program that a shell can read", () => expect(() => execFileSync("sh", ["-n"], { input: lookProgram({ files: [], units: [], sysctl: [], script: "x" }, 1) })).not.toThrow())
})

describe("an agent's answer", () => {
  const answer = [
    "kiln-test 1", "= state", " degraded", "", "= failed nginx.service", " bind() failed", " = state", "", "= hostname", " box", "",
    "= localtime", " /usr/share/zoneinfo/UTC", "", "= locale", " C.UTF-8", "", "= arguments", " ro quiet", "",
    "= users", " root:x:0:0:root:/root:/bin/bash", " ann:x:1000:1000::/home/ann:/bin/sh", "", "= groups", " adm:x:4:ann,bob", "",
    "= packages", " installed tree 2.2", " config-files old 1", "",
    "= sockets tcp", "   0: 00000000:0016 00000000:0000 0A 0", "   1: 0100007F:0019 00000000:0000 0A 0", "   2: 0A00020F:A000 0A000202:0016 01 0", "",
    "= sockets tcp6", "   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A", "   1: 00000000000000000000000001000000:0051 0:0 0A", "",
    "= sockets udp", "  10: 3500007F:0035 00000000:0000 07", "  11: 00000000:0044 00000000:0000 07", "",
    "= unit nginx", " LoadState=loaded", " ActiveState=failed", " Result=exit-code", " UnitFileState=enabled", "",
    "= file /etc/a b", " 640 ann adm 1000 4", ` ${"0a".repeat(32)}  -`, "", "= file /srv", " 755 root root 0 0", "", "= file /nope", "", "= sysctl net.ipv4.ip_forward", " 1", "",
    "= keys ann", " ssh-ed25519 AAAA", "", "= sudo ann", "     (ALL : ALL) NOPASSWD: ALL", "", "= certificates", " abc", "", "= keyboard", " XKBLAYOUT=\"de\"", "",
    "= timeservers", " a.example", "", "= environment", "", "= firewall", " \t\ttcp dport 22 accept", "", "= services", " ssh 22/tcp", "", "= exit", " 3", "", "= said", " one", " two", "", "kiln-test-end 0", ""
  ].join("\n")
  it("ends with its mark", () => expect([answered.test(answer), answered.test(answer.slice(0, -3))]).toEqual([true, false]))
  it("says what the machine is, and only the first of a kind counts", () =>
    expect(factsOf(answer)).toEqual({
      state: "degraded", failed: [{ unit: "nginx.service", said: "bind() failed\n= state" }], hostname: "box", localtime: "/usr/share/zoneinfo/UTC", locale: "C.UTF-8",
      kernelArguments: "ro quiet",
      users: new Map([["root", { uid: 0, gid: 0, home: "/root", shell: "/bin/bash" }], ["ann", { uid: 1000, gid: 1000, home: "/home/ann", shell: "/bin/sh" }]]),
      groups: new Map([["adm", { gid: 4, members: ["ann", "bob"] }]]), packages: new Map([["tree", "2.2"]]),
      listening: new Set(["22:tcp", "80:tcp", "68:udp"]),
      units: new Map([["nginx", { load: "loaded", active: "failed", result: "exit-code", file: "enabled" }]]),
      files: new Map([
        ["/etc/a b", { mode: "640", user: "ann", group: "adm", uid: 1000, gid: 4, sha256: "0a".repeat(32) }], ["/srv", { mode: "755", user: "root", group: "root", uid: 0, gid: 0 }]
      ]),
      keys: new Map([["ann", ["ssh-ed25519 AAAA"]]]), sudo: new Map([["ann", ["    (ALL : ALL) NOPASSWD: ALL"]]]), certificates: new Set(["abc"]),
      keyboard: ["XKBLAYOUT=\"de\""], timeServers: ["a.example"], environment: [], firewall: ["\t\ttcp dport 22 accept"], services: ["ssh 22/tcp"],
      sysctl: new Map([["net.ipv4.ip_forward", "1"]]),
      script: { exit: 3, output: "one\ntwo" }
    }))
  it("that is cut off is no facts that anybody could take for good ones", () => expect(factsOf("kiln-test 1\n= sta").state).toBe(""))
})
