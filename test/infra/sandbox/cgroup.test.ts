/** Control groups: what can be told of them anywhere, and the limits that they keep where this machine has one to divide. */
import { spawn, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { afterAll, describe, expect, it, vi } from "vitest"
import { groupObstacle } from "../../../infra/sandbox/cgroup.ts"
import { freeMemory } from "../../../infra/sandbox/free-memory.ts"
import { limited } from "../../../infra/sandbox/limited.ts"
import { limitsOf, type Limits } from "../../../infra/sandbox/limits.ts"
import { confined } from "../../../infra/sandbox/sandbox.ts"
import { ownGroup, parentGroup } from "../../../infra/sandbox/worker-group.ts"
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

  it("is told by name when it cannot be divided", () => {
    const bare = workOf("without")
    expect(groupObstacle({ ...usual, cgroup: bare })).toBe(`${bare} is no control group of version 2`)
    expect(groupObstacle(usual)).toBe(undefined)
  })

  it("counts for the memory that is free, and so does each group above it", async () => {
    const top = workOf("top")
    const here = { dir: join(top, "kiln.service", "kiln"), top }
    const write = (dir: string, texts: Readonly<Record<string, string>>) => {
      mkdirSync(dir, { recursive: true })
      for (const [name, text] of Object.entries(texts)) writeFileSync(join(dir, name), text)
    }
    write(here.dir, { "memory.max": "max\n", "memory.current": "5000\n" })
    write(join(top, "kiln.service"), { "memory.max": "9000\n", "memory.current": "8000\n", "memory.stat": "anon 10\ninactive_file 500\nactive_file 250\nfile 751\n" })
    expect(await freeMemory(here)).toBe(1750)
    write(top, { "memory.max": "1000\n", "memory.current": "1\n", "memory.stat": "" })
    expect(await freeMemory(here)).toBe(999)
  })

  it("must be there if it is asked for: no build goes without its limits", async () => {
    const bare = workOf("bare")
    writeFileSync(join(bare, "cgroup.controllers"), "cpu\n")
    expect(await inside("refused", "true", { ...usual, cgroup: bare })).toMatchObject({
      failure: { class: "platform", message: `no control group for the build (KILN_CGROUP): ${bare} does not have the controllers memory and pids; Delegate=memory pids cpu gives that to a unit of systemd` }
    })
  })
})

/** Where tests are run in a group of their own, such as by systemd-run --scope -p Delegate=yes; `own`: that one. */
const group = process.env["KILN_TEST_CGROUP"] ?? ""
const missing = group === "" ? "KILN_TEST_CGROUP names no control group of version 2 to divide" : groupObstacle({ ...usual, cgroup: group, cpus: 1 })

const rmdirUnlessGone = (path: string) => {
  try {
    rmdirSync(path)
  } catch {
    // What was expected of it says more.
  }
}

describe("a build in a control group", () => {
  skipWhere(missing !== undefined, missing ?? "")
  const limits: Limits = { ...usual, cgroup: group, cpus: 0.5, memory: 100 * 2 ** 20, processes: 60 }
  const parent = () => parentGroup(group)
  const left = () => readdirSync(parent()).filter((name) => name.startsWith("build-"))
  const of = (file: string) => readFileSync(join(parent(), left()[0]!, file), "utf8").trim()

  /** `look` is called while it runs, until it is content. */
  const seen = async (name: string, script: string, more: Limits, look: () => void) => {
    const work = workOf(name)
    const go = `${work}/go`
    const ran = confined({ argv: ["bash", "-c", script.replace("GO", `[ -e ${go} ]`)] }, { read: [], write: [work] }, work, more)
    const looked = Effect.promise(() => vi.waitFor(look, 30_000).finally(() => writeFileSync(go, "")))
    const [{ code }] = await Effect.runPromise(Effect.all([ran, looked], { concurrency: 2 }))
    return code
  }

  it("has the limits that were asked for, and the group goes with it", async () => {
    const code = await seen("seen", "until GO; do sleep 0.1; done", { ...limits, scratch: 2 ** 20 }, () => {
      expect(Number(of("pids.current"))).toBeGreaterThan(0)
      expect(["memory.max", "memory.swap.max", "memory.oom.group", "pids.max", "cpu.max", "cpu.weight"].map(of))
        .toEqual([String(101 * 2 ** 20), "0", "1", "60", "50000 100000", "50"])
    })
    expect([code, left()]).toEqual([0, []])
  })

  it("gets no more of the processors than that", async () => {
    const code = await seen("busy", "until GO; do :; done", limits, () => expect(Number(/^nr_throttled (\d+)$/m.exec(of("cpu.stat"))?.[1])).toBeGreaterThan(2))
    expect(code).toBe(0)
  })

  it("is ended when all of it together has too much memory, shared memory counted", async () => {
    // Each of the two processes has half of what one may have.
    expect(await inside("memory", "perl -e 'for (1 .. 2) { open my $f, q(>), \"/dev/shm/$_\"; print $f q(x) x (30 << 20); close $f } fork; my $n = 30 << 20; $x = q(x) x $n; sleep 60'", limits))
      .toMatchObject({ failure: { class: "user", message: expect.stringContaining("KILN_BUILD_MEMORY") } })
    expect(left()).toEqual([])
  })

  it("is not blamed when it is ended for want of memory that others have", async () => {
    const narrow = join(parent(), "narrow")
    mkdirSync(narrow)
    try {
      writeFileSync(join(narrow, "memory.max"), String(60 * 2 ** 20))
      expect(await inside("starved", "perl -e '$x = q(x) x (90 << 20); sleep 60'", { ...usual, cgroup: narrow, memory: 2 ** 30 }))
        .toMatchObject({ failure: { class: "platform", message: expect.stringContaining("this worker had no memory left") } })
      expect(readdirSync(narrow, { withFileTypes: true }).flatMap((each) => each.isDirectory() ? [each.name] : [])).toEqual([])
      rmdirSync(narrow)
    } finally {
      rmdirUnlessGone(narrow)
    }
  })

  it("begins no more processes than it may, outside of the sandbox neither", async () => {
    const work = workOf("processes")
    const bomb = "for i in $(seq 1 100); do sleep 60 & done; exit 1"
    expect(await Effect.runPromise(Effect.result(limited({ argv: ["bash", "-c", bomb] }, work, limits))))
      .toMatchObject({ failure: { class: "user", message: expect.stringContaining("KILN_BUILD_PROCESSES") } })
    expect(left()).toEqual([])
    expect(existsSync(work)).toBe(true)
  })

  it("leaves nothing that runs on, outside of the sandbox neither", async () => {
    const work = workOf("daemon")
    const daemon = "setsid sleep 600 >/dev/null 2>&1 </dev/null & echo begun"
    expect(await Effect.runPromise(limited({ argv: ["bash", "-c", daemon] }, work, limits))).toMatchObject({ code: 0 })
    // A group that has a process cannot go.
    expect(left()).toEqual([])
  })

  it("takes away what was left by a worker that was killed", async () => {
    const space = /\d+/.exec(readlinkSync("/proc/self/ns/pid"))![0]
    const gone = spawnSync("true").pid
    const old = join(parent(), `build-${space}.${gone}-0`)
    const others = join(parent(), `build-1.${gone}-0`)
    for (const dir of [old, others]) mkdirSync(dir)
    try {
      const orphan = spawn("sh", ["-c", "echo 0 >\"$0/cgroup.procs\" && exec sleep 626262", old], { stdio: "ignore" })
      await vi.waitFor(() => expect(readFileSync(join(old, "cgroup.procs"), "utf8")).toBe(`${orphan.pid}\n`), 60_000)
      const ended = new Promise((resolve) => orphan.once("exit", (_, signal) => resolve(signal)))
      await inside("after", "true", limits)
      expect(await ended).toBe("SIGKILL")
      await inside("later", "true", limits)
      expect(left()).toEqual([`build-1.${gone}-0`])
    } finally {
      rmdirUnlessGone(others)
    }
  })
})
