/** Control groups: what can be told of them anywhere, and the limits that they keep where this machine has one to divide. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { afterAll, describe, expect, it } from "vitest"
import { ownGroup, parentGroup } from "../../../infra/sandbox/cgroup.ts"
import { limited } from "../../../infra/sandbox/limited.ts"
import { limitsOf, type Limits } from "../../../infra/sandbox/limits.ts"
import { confined } from "../../../infra/sandbox/sandbox.ts"
import { skipWhere } from "../../support/needs.ts"

const dir = mkdtempSync(join(tmpdir(), "kiln-cgroup-"))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const usual = limitsOf({})
const workOf = (name: string) => {
  const work = join(dir, name)
  mkdirSync(work)
  return work
}
const inside = (name: string, script: string, limits: Limits) => {
  const work = workOf(name)
  return Effect.runPromise(Effect.result(confined({ argv: ["bash", "-c", script], collect: true }, { read: [], write: [work] }, work, limits)))
}

describe("the control group of a worker", () => {
  const mounts = (root: string, place: string) => `22 1 0:20 / / rw - ext4 /dev/vda rw\n30 22 0:26 ${root} ${place} rw,nosuid shared:4 - cgroup2 cgroup2 rw\n`

  it("is found by what the kernel says of it", () => {
    expect(ownGroup(mounts("/", "/sys/fs/cgroup"), "0::/system.slice/kiln.service\n")).toBe("/sys/fs/cgroup/system.slice/kiln.service")
    expect(ownGroup(mounts("/", "/sys/fs/cgroup/unified"), "4:memory:/x\n0::/\n")).toBe("/sys/fs/cgroup/unified")
    expect(ownGroup(mounts("/docker/abc", "/sys/fs/cgroup"), "0::/docker/abc/inner\n")).toBe("/sys/fs/cgroup/inner")
    expect(ownGroup(mounts("/", "/sys/fs/cgroup"), "0::/system.slice/kiln.service/kiln\n")).toBe("/sys/fs/cgroup/system.slice/kiln.service")
    expect(ownGroup("22 1 0:20 / / rw - ext4 /dev/vda rw\n", "4:memory:/x\n")).toBe(undefined)
  })

  it("is asked for by name", () => {
    expect(limitsOf({ KILN_CGROUP: "own", KILN_BUILD_CPUS: "1.5" })).toMatchObject({ cgroup: "own", cpus: 1.5 })
    expect(() => limitsOf({ KILN_CGROUP: "mine" })).toThrow(/KILN_CGROUP: "mine" is neither/)
    expect(limitsOf({ KILN_BUILD_CPUS: "2" })).toMatchObject({ cpus: 2 })
    expect(() => limitsOf({ KILN_CGROUP: "own", KILN_BUILD_CPUS: "0" })).toThrow(/KILN_BUILD_CPUS: "0"/)
  })

  it("must be there if it is asked for: no build goes without its limits", async () => {
    const bare = workOf("bare")
    writeFileSync(join(bare, "cgroup.controllers"), "cpu\n")
    expect(await inside("refused", "true", { ...usual, cgroup: bare })).toMatchObject({
      failure: { class: "platform", message: `no control group for the build (KILN_CGROUP): ${bare} does not have the controllers memory and pids` }
    })
  })
})

/** Where tests are run in a group of their own, such as by systemd-run --scope -p Delegate=yes. */
const group = process.env["KILN_TEST_CGROUP"] ?? ""
const undivided = () => {
  try {
    parentGroup(group)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}
const missing = group === "" ? "KILN_TEST_CGROUP names no control group of version 2 to divide" : undivided()

describe("a build in a control group", () => {
  skipWhere(missing !== undefined, missing ?? "")
  const limits: Limits = { ...usual, cgroup: group, cpus: 0.5, memory: 100 * 2 ** 20, processes: 60 }
  const left = () => readdirSync(parentGroup(group)).filter((name) => name.startsWith("build-"))

  it("has the limits that were asked for, and the group goes with it", async () => {
    let seen = ""
    const work = workOf("seen")
    const look = Effect.sync(() => {
      const [name = ""] = left()
      seen = ["memory.max", "pids.max", "cpu.max"].map((file) => readFileSync(join(parentGroup(group), name, file), "utf8").trim()).join(" ")
    })
    const ran = confined({ argv: ["bash", "-c", `until [ -e ${work}/go ]; do sleep 0.1; done`] }, { read: [], write: [work] }, work, { ...limits, scratch: 2 ** 20 })
    const result = await Effect.runPromise(Effect.map(Effect.all([ran, Effect.andThen(Effect.sleep("1 second"), Effect.andThen(look, Effect.sync(() => writeFileSync(join(work, "go"), ""))))], { concurrency: 2 }), ([{ code }]) => code))
    expect([result, seen, left()]).toEqual([0, `${101 * 2 ** 20} 60 50000 100000`, []])
  })

  it("is ended when all of it together has too much memory, shared memory counted", async () => {
    expect(await inside("memory", "perl -e 'mkdir \"/dev/shm/x\"; for (1 .. 2) { open my $f, q(>), \"/dev/shm/$_\"; print $f q(x) x (30 << 20); close $f } $x = q(x) x (60 << 20); sleep 60'", limits))
      .toMatchObject({ failure: { class: "user", message: expect.stringContaining("KILN_BUILD_MEMORY") } })
    expect(left()).toEqual([])
  })

  it("begins no more processes than it may, outside of the sandbox neither", async () => {
    const work = workOf("processes")
    const bomb = "for i in $(seq 1 100); do sleep 60 & done; exit 1"
    expect(await Effect.runPromise(Effect.result(limited({ argv: ["bash", "-c", bomb] }, work, limits))))
      .toMatchObject({ failure: { class: "user", message: expect.stringContaining("KILN_BUILD_PROCESSES") } })
    expect(left()).toEqual([])
    expect(existsSync(work)).toBe(true)
  })
})
