import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Fiber, Result } from "effect"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { AttemptMeter, Meter } from "../../../domain/ports/meter.ts"
import { run } from "../../../infra/process/run.ts"
import { mappedPrefix } from "../../../infra/sandbox/ids.ts"
import { limitsOf, type Limits } from "../../../infra/sandbox/limits.ts"
import { confined, sandboxPrefix } from "../../../infra/sandbox/sandbox.ts"
import { skipWhere } from "../../support/needs.ts"

const works = await Effect.runPromise(run({ argv: [...sandboxPrefix({ read: [], write: [] }), "true"] as never }).pipe(
  Effect.map(({ code, tail }) => (code === 0 ? undefined : tail.join(" "))), Effect.catch(({ message }) => Effect.succeed(message))
))
skipWhere(works !== undefined, `no sandbox here: ${works}`)

/** Its folders lie in one that nobody but its owner may pass. */
let dir = ""
let work = ""
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "kiln-sandbox-"))
  chmodSync(dir, 0o700)
  work = join(dir, "work")
  mkdirSync(work)
})
afterEach(() => {
  // What was made by other ids than ours goes by their right.
  const [program, ...rest] = [...mappedPrefix(), "rm", "-rf", "--", work]
  return Effect.runPromise(run({ argv: [program!, ...rest] })).then(() => rmSync(dir, { recursive: true, force: true }))
})

const running = (words: string) => readdirSync("/proc").filter((name) => {
  try {
    return /^\d+$/.test(name) && readFileSync(`/proc/${name}/cmdline`, "utf8").includes(words)
  } catch {
    return false
  }
})

const usual = limitsOf({})
const inside = (script: string, limits: Limits = usual, read: ReadonlyArray<string> = []) =>
  confined({ argv: ["bash", "-c", script], collect: true }, { read, write: [work] }, work, limits)
const ended = (effect: ReturnType<typeof inside>) => Effect.runPromise(Effect.result(effect))
const said = async (script: string, read: ReadonlyArray<string> = []) => Result.getOrThrow(await ended(inside(script, usual, read))).stdout

describe("a program in the sandbox", () => {
  it("is root of what it may write, and leaves it to the worker", async () => {
    expect(await said(`id -u; echo made >${work}/file; chown 33:33 ${work}; chown 0:0 ${work}`)).toBe("0\n")
    expect(readFileSync(join(work, "file"), "utf8")).toBe("made\n")
    writeFileSync(join(work, "file"), "again")
  })

  it("reads what it is given and can change nothing of it", async () => {
    const given = join(dir, "given")
    writeFileSync(given, "text")
    expect(await said(`cat ${given}; (echo x >>${given}) 2>/dev/null || echo refused; (mount -o remount,rw ${given}) 2>/dev/null || echo refused`, [given]))
      .toBe("textrefused\nrefused\n")
  })

  it("finds no other file, process or network of the machine", async () => {
    writeFileSync(join(dir, "secret"), "x")
    expect(await said(`ls -A ${dir} /root; ls -d /home /etc/shadow 2>/dev/null; ls -d /proc/[0-9]* | wc -l; grep -vc lo: /proc/net/dev; hostname`))
      .toMatch(new RegExp(`^/root:\\n\\n${dir}:\\nwork\\n[1-4]\\n2\\nlocalhost\\n$`))
  })

  it("has ids that mean nothing outside, and no way to others", async () => {
    expect(await said("unshare --user true 2>/dev/null || echo no; echo 1 2>/dev/null >/proc/sys/kernel/printk || echo no; mknod /tmp/x b 8 0 2>/dev/null || echo no"))
      .toBe("no\nno\nno\n")
  })

  it("goes with all that it began when it is canceled, also with what does not want to", async () => {
    const began = Promise.withResolvers<void>()
    const fiber = Effect.runFork(confined({
      argv: ["bash", "-c", `trap "" TERM; setsid sleep 7878 & echo begun; wait`], onLine: (line) => line === "begun" && began.resolve()
    }, { read: [], write: [work] }, work, usual))
    await began.promise
    await Effect.runPromise(Fiber.interrupt(fiber))
    // The kernel takes its moment to end what was told to.
    await vi.waitFor(() => expect(running("7878")).toEqual([]), 60_000)
  })
})

describe("a program that wants too much", () => {
  it("cannot begin more processes than it may, and fails with the name of the limit", async () => {
    const bomb = "$SIG{CHLD} = sub {}; while () { my $child = fork; defined $child or die qq(Cannot fork: $!\\n); $child or sleep 60 }"
    const tight = { ...usual, processes: 100 }
    expect(await ended(inside(`perl -e '${bomb}'`, tight))).toMatchObject({
      failure: { class: "user", message: "the build wanted more processes than the 100 that a build may have on this worker (KILN_BUILD_PROCESSES)" }
    })
    // By other ids neither.
    expect(await ended(inside(`for id in 1 2 3 4; do setpriv --reuid $id perl -e 'for (1 .. 30) { my $child = fork; defined $child or die "Cannot fork: $!\\n"; $child or sleep 60 } sleep 60' & done; wait -n; exit 1`, tight)))
      .toMatchObject({ failure: { message: expect.stringContaining("KILN_BUILD_PROCESSES") } })
  })

  it("gets no more memory than it may, alone or with others, and fails with the name of the limit", async () => {
    const tight = { ...usual, memory: 200 * 2 ** 20 }
    expect(await ended(inside(`perl -e '$x = "x" x (300 << 20)'`, tight))).toMatchObject({
      failure: { class: "user", message: "the build wanted more memory than the 200 MiB that a build may have on this worker (KILN_BUILD_MEMORY)" }
    })
    expect(await ended(Effect.provideService(inside(`for i in 1 2 3 4 5; do perl -e '$x = "x" x (50 << 20); sleep 60' & done; wait`, tight), AttemptMeter, new Meter())))
      .toMatchObject({ failure: { message: expect.stringContaining("KILN_BUILD_MEMORY") } })
  })

  it("has its processor time counted, with that of all it has waited for", async () => {
    const meter = new Meter()
    await ended(Effect.provideService(inside("(perl -e 'do { @spent = times; 1 for 1 .. 10000 } while $spent[0] + $spent[1] < 0.2')"), AttemptMeter, meter))
    expect(meter.spent?.cpuMs).toBeGreaterThanOrEqual(190)
    expect(meter.spent?.cloudCalls).toBe(undefined)
  })

  it("takes no more of the disk than it may, by one file or by many, and fails with the name of the limit", async () => {
    const tight = { ...usual, disk: 50 * 2 ** 20 }
    expect(await ended(inside(`head -c 60M /dev/zero >${work}/one`, tight))).toMatchObject({
      failure: { class: "user", message: "the build wanted more of the disk than the 50 MiB that a build may have on this worker (KILN_BUILD_DISK)" }
    })
    expect(await ended(inside(`for i in $(seq 1 20); do head -c 5M /dev/zero >${work}/$i; done; sleep 60`, tight)))
      .toMatchObject({ failure: { message: expect.stringContaining("KILN_BUILD_DISK") } })
  })
})

describe("the limits of a build", () => {
  it("are read from the environment as people write sizes, and named when they are wrong", () => {
    expect(limitsOf({ KILN_BUILD_MEMORY: "2 GiB", KILN_BUILD_PROCESSES: "300", KILN_BUILD_DISK: "1000000" }))
      .toEqual({ memory: 2 ** 31, processes: 300, disk: 1_000_000 })
    expect(() => limitsOf({ KILN_BUILD_MEMORY: "much" })).toThrow(/KILN_BUILD_MEMORY: "much" is no size/)
    expect(() => limitsOf({ KILN_BUILD_PROCESSES: "0" })).toThrow(/KILN_BUILD_PROCESSES/)
  })
})
