import { readdirSync, readFileSync } from "node:fs"
import { Effect, Fiber } from "effect"
import { describe, expect, it, vi } from "vitest"
import { AttemptMeter, Meter } from "../../../domain/ports/meter.ts"
import { cpuMsIn } from "../../../infra/process/cpu-time.ts"
import { type Command, run } from "../../../infra/process/run.ts"

/** Works for so long by the clock of its own processor. */
const work = (seconds: number, then = "") => `perl -e 'do { @spent = times; 1 for 1 .. 10000 } while $spent[0] + $spent[1] < ${seconds}; ${then}'`
const script = (text: string, more: Partial<Command> = {}): Command => ({ argv: ["sh", "-c", text], ...more })
const measured = (command: Command, meter = new Meter()) =>
  Effect.runPromise(Effect.provideService(run(command), AttemptMeter, meter).pipe(Effect.result)).then((result) => ({ result, cpuMs: meter.spent?.cpuMs ?? 0 }))
const plain = (command: Command) => Effect.runPromise(Effect.result(run(command)))

describe("the processor time of a program", () => {
  it("is that of all that it has waited for, and of no other that runs beside it", async () => {
    const [long, short] = await Promise.all([measured(script(`${work(0.3)}; (${work(0.3)})`)), measured(script(work(0.1)))])
    expect(long.cpuMs).toBeGreaterThanOrEqual(580)
    expect(short.cpuMs).toBeGreaterThanOrEqual(90)
    expect(short.cpuMs).toBeLessThan(300)
  })

  it("is summed over the programs of an attempt, and tells nothing of what runs for none", async () => {
    const meter = new Meter()
    await measured(script(work(0.1)), meter)
    await plain(script(work(0.1)))
    const { cpuMs } = await measured(script(work(0.1)), meter)
    expect(cpuMs).toBeGreaterThanOrEqual(180)
    expect(cpuMs).toBeLessThan(290)
  })

  it("changes nothing of what the program sees, says and ends with", async () => {
    const told: Array<string> = []
    for (const command of [
      script("env | sort; cat; ls /proc/self/fd | wc -l; echo wrong >&2; exit 3", { stdin: "given", collect: true, env: { A: "1 2" } }),
      script("echo x >&3; ls /proc/self/fd | wc -l", { collect: true, onChannel: (text) => told.push(text) }),
      script("kill -9 $$"), { argv: ["/no/such/program"] } satisfies Command
    ]) expect((await measured(command)).result).toEqual(await plain(command))
    expect(told).toEqual(["x\n", "x\n"])
  })

  it("is known of one that was told to end, which ends with all that it began", async () => {
    const [began, meter] = [Promise.withResolvers<void>(), new Meter()]
    const command = script(work(0.2, "$| = 1; print qq(begun\\n); sleep 7979"), { onLine: (line) => line === "begun" && began.resolve() })
    const fiber = Effect.runFork(Effect.provideService(run(command), AttemptMeter, meter))
    await began.promise
    await Effect.runPromise(Fiber.interrupt(fiber))
    expect(meter.spent?.cpuMs).toBeGreaterThanOrEqual(190)
    await vi.waitFor(() => expect(commandLines().filter((line) => line.includes("7979"))).toEqual([]), 60_000)
  })

  it("is read as shells write it", () => {
    expect(cpuMsIn("0m0.000000s 0m0.010000s\n1m2.500000s 0m0.030000s\n")).toBeCloseTo(62_540)
    expect(cpuMsIn("")).toBe(0)
  })
})

const commandLines = () => readdirSync("/proc").map((pid) => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8")
  } catch {
    return ""
  }
})
