/**
 * Control groups of version 2 as a kernel of Debian and its systemd have them: the tests of groups, and what systemd refuses,
 * in a machine that this repository has built. Minutes of emulation, so only with `KILN_TEST_CGROUP_GUEST=1`.
 */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Result } from "effect"
import { beforeAll, describe, expect, it } from "vitest"
import { buildImpossible, built, specOf } from "../infra/debian/real.ts"
import { bootImpossible } from "../support/boot.ts"
import { needs, skipWhere } from "../support/needs.ts"
import { inGuest } from "../support/repo-guest.ts"

const impossible = process.env["KILN_TEST_CGROUP_GUEST"] === "1"
  ? bootImpossible("bios") ?? await buildImpossible()
  : "a guest with control groups of version 2 takes minutes: KILN_TEST_CGROUP_GUEST=1 asks for it"

const asSystemd = "Delegate=memory pids cpu"
const asUser = "User=kiln"
const elsewhere = "/sys/fs/cgroup/elsewhere"

/** A command in a unit of its own. */
const unit = (name: string, properties: ReadonlyArray<string>, environment: ReadonlyArray<string>, command: string) => [
  `echo; echo '== ${name}'`,
  ["systemd-run", "--quiet", "--wait", "--pipe", ...[...properties, "WorkingDirectory=/repo"].flatMap((each) => ["-p", `'${each}'`]),
    ...environment.flatMap((each) => ["-E", `'${each}'`]), command].join(" ")
].join("\n")

const node = "node_modules/.bin/node"
const tests = [
  `${node} node_modules/vitest/vitest.mjs run --root . --reporter json --outputFile /run/said/report --testTimeout 120000`,
  "test/infra/sandbox/cgroup.test.ts >/run/said/log 2>&1; cat /run/said/report || tail -n 50 /run/said/log"
].join(" ")
const attempt = `${node} test/support/try-group.ts`
/** Begins programs all the time, beside the worker and in its group. */
const restless = `bash -c "while :; do /bin/true; done >/dev/null 2>&1 & ${attempt}"`
const groups = ["KILN_CGROUP=own", "KILN_BUILD_CPUS=0.5"]

const script = [
  unit("root", [asSystemd, "RuntimeDirectory=said"], ["KILN_TEST_CGROUP=own"], `bash -c '${tests}'`),
  unit("user", [asSystemd, asUser, "RuntimeDirectory=said"], ["KILN_TEST_CGROUP=own"], `bash -c '${tests}'`),
  unit("as documented", [asSystemd, asUser, "MemoryMax=700M"], groups, attempt),
  unit("restless", [asSystemd, asUser], groups, restless),
  unit("not delegated", [asUser], groups, attempt),
  unit("not asked for", [asUser], [], attempt),
  unit("read only", [asSystemd, "ProtectControlGroups=yes"], groups, attempt),
  `mkdir ${elsewhere}; echo +memory +pids +cpu >/sys/fs/cgroup/cgroup.subtree_control; chown -R kiln: ${elsewhere}`,
  unit("elsewhere", [asUser], [`KILN_CGROUP=${elsewhere}`], attempt),
  unit("elsewhere as root", [], [`KILN_CGROUP=${elsewhere}`], attempt),
  unit("first of all", [], ["KILN_CGROUP=/sys/fs/cgroup"], attempt)
].join("\n")

let said = new Map<string, string>()
const partsOf = (output: string) =>
  new Map(output.split(/^== /m).slice(1).map((part) => [part.slice(0, part.indexOf("\n")), part.slice(part.indexOf("\n") + 1).trim()]))
const tried = (name: string): unknown => JSON.parse(said.get(name) ?? "null")

interface Report {
  readonly testResults: ReadonlyArray<{ readonly assertionResults: ReadonlyArray<{ readonly status: string; readonly title: string; readonly failureMessages: ReadonlyArray<string> }> }>
}
const outcomes = (name: string) => {
  const { testResults } = JSON.parse(said.get(name) ?? "null") as Report
  return testResults.flatMap(({ assertionResults }) => assertionResults)
}

describe("a kernel with control groups of version 2, and systemd", () => {
  skipWhere(impossible !== undefined, impossible ?? "")
  needs("mksquashfs")

  beforeAll(async () => {
    if (impossible !== undefined) return
    const dir = await mkdtemp(join(tmpdir(), "kiln-cgroup-guest-"))
    try {
      const spec = specOf({ hostname: "guest", packages: ["uidmap"], users: [{ name: "kiln" }] })
      const { exit, output } = await inGuest(Result.getOrThrow(await built(spec, dir)).path, script, 1200)
      expect(exit, output).toBe(0)
      said = partsOf(output)
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  }, 1_800_000)

  it.for(["root", "user"])("keeps the limits of builds, for a worker that is %s", (who) => {
    const all = outcomes(who)
    expect(all.filter(({ status }) => status !== "passed")).toEqual([])
    expect(all.map(({ title }) => title)).toContain("is ended when all of it together has too much memory, shared memory counted")
  })

  it("gives a worker what its unit delegates, as the documentation has it", () => {
    expect(tried("as documented")).toEqual({ ended: "exit 0", free: expect.any(Number) })
    expect((tried("as documented") as { free: number }).free).toBeLessThan(700 * 2 ** 20)
    expect((tried("not asked for") as { free: number }).free).toBeGreaterThan(700 * 2 ** 20)
  })

  it("lets a group be divided in which programs begin and end all the time", () => expect(tried("restless")).toMatchObject({ ended: "exit 0" }))

  const refused = (name: string, why: string) =>
    expect(tried(name)).toMatchObject({ obstacle: expect.stringContaining(why), ended: expect.stringContaining(`platform: no control group for the build (KILN_CGROUP): `) })

  it("refuses a group that was not delegated, and the worker says what is missing", () => refused("not delegated", "Delegate=memory pids cpu gives that"))
  it("refuses one that can only be read", () => refused("read only", "can only be read here"))
  it("lets no ordinary user into a group from elsewhere, and root into it", () => {
    refused("elsewhere", "cannot be gone into by this worker")
    expect(tried("elsewhere as root")).toMatchObject({ ended: "exit 0" })
  })
  it("lets root divide the first group of all, where processes may stay", () => expect(tried("first of all")).toMatchObject({ ended: "exit 0" }))
  it("lets builds go on without groups where none are asked for", () => expect(tried("not asked for")).toMatchObject({ ended: "exit 0" }))
})
