/** Boot tests in QEMU. */
import { readFile, stat } from "node:fs/promises"
import { join } from "node:path"
import { Effect, Layer } from "effect"
import { BuildFailed, type Progress, type Report } from "../../domain/ports/image-builder.ts"
import { type Booted, type BootOrder, type Facts, ImageTests } from "../../domain/ports/image-tests.ts"
import { type Accelerator, makeAccelerator } from "./accelerator.ts"
import { names } from "./arguments.ts"
import { bootMachine } from "./boot.ts"
import { asksForLogin, doomOf, saysReady, type Stage, stageOf } from "./console.ts"
import { mediumOf } from "./disk.ts"
import { answered, factsOf, lookProgram } from "./facts.ts"
import { missingFor } from "./firmware.ts"
import type { Machine } from "./machine.ts"

/** Emulation is some ten times slower, and its machine may be busy. */
const patienceMs: Record<Accelerator, number> = { kvm: 120_000, tcg: 300_000 }
/** A machine that has said that it is up answers within this. */
const answersWithinMs: Record<Accelerator, number> = { kvm: 30_000, tcg: 90_000 }
const mostPicture = 1 << 20

const percents: Record<Stage | "checks", number> = { firmware: 2, kernel: 12, userspace: 30, checks: 80 }

export const ImageTestsQemu = Layer.effect(ImageTests, Effect.map(makeAccelerator, (accelerator) => {
  let distrusted = false
  return ImageTests.of({
    impossible: ({ architecture, firmware, format }) => Effect.sync(() =>
      mediumOf(format) === undefined ? `nothing here boots the format ${format}` : missingFor(architecture, firmware)),
    boot: Effect.fnUntraced(function*(order, workspace, report) {
      const chosen = distrusted ? "tcg" : yield* accelerator(order.architecture)
      const booted = Effect.scoped(boot(order, chosen, workspace, report))
      if (chosen === "tcg") return yield* booted
      // Some hosts offer a processor that runs one firmware and not the other.
      return yield* Effect.catch(booted, (failure) => {
        distrusted = true
        report.line(`${failure.message}; from here on this machine is emulated`)
        return Effect.scoped(boot(order, "tcg", workspace, report))
      })
    })
  })
}))

const boot = Effect.fnUntraced(function*(order: BootOrder, accelerator: Accelerator, workspace: string, report: Report) {
  const dir = join(workspace, `boot-${order.firmware}`)
  const { architecture, firmware, format, path } = order
  const machine = yield* bootMachine({ path, format, architecture, firmware, accelerator, onLine: (line) => report.line(line) }, dir)
  const since = Date.now()
  const timeoutMs = order.timeoutMs ?? patienceMs[accelerator]
  const end = yield* ready(machine, order.answers, report, answersWithinMs[accelerator]).pipe(
    Effect.timeoutOrElse({ duration: timeoutMs, orElse: () => Effect.succeed<Ready>({ problem: late(machine, timeoutMs) }) }))
  const readyMs = Date.now() - since
  const asked = end.problem === undefined && order.answers ? yield* ask(machine, order, timeoutMs, report) : {}
  if (machine.fault !== undefined) return yield* new BuildFailed({ class: "platform", message: machine.fault.split("\n")[0]!, excerpt: machine.fault })
  const screenshot = yield* picture(machine, dir)
  const problem = end.problem ?? asked.problem
  return {
    accelerator,
    ...(end.problem === undefined && { readyMs }),
    tookMs: Date.now() - since,
    ...(problem !== undefined && { problem }),
    ...(asked.facts && { facts: asked.facts }),
    console: machine.console,
    ...(screenshot && { screenshot })
  } satisfies Booted
})

interface Ready {
  readonly problem?: string
}

const hello = /(^|\n)kiln-test 1\n/

const ready = Effect.fnUntraced(function*(machine: Machine, answers: boolean, report: Report, answersWithin: number) {
  const tell = teller(report)
  const first = yield* machine.until((): Ready | "up" | undefined => {
    tell(stageOf(machine.console))
    if (answers && hello.test(machine.answer)) return {}
    if (machine.fault !== undefined) return { problem: machine.fault }
    const problem = doomOf(machine.firmwareLog) ?? doomOf(machine.console) ?? machine.ended
    if (problem !== undefined) return { problem }
    if (saysReady(machine.console)) return "up"
    return !answers && asksForLogin(machine.console) ? {} : undefined
  })
  if (first !== "up") return first
  if (!answers) return {}
  return yield* machine.until((): Ready | undefined => hello.test(machine.answer) ? {} : machine.ended === undefined ? undefined : { problem: machine.ended }).pipe(
    Effect.timeoutOrElse({
      duration: answersWithin,
      orElse: () => Effect.succeed<Ready>({ problem: "the machine is up, but nothing in it answers the test" })
    }))
})

/** Says each stage once, as it is reached. */
const teller = (report: Report) => {
  let last: Progress["stage"] | undefined
  return (stage: Stage | "checks") => {
    if (stage === last) return
    last = stage
    report.progress({ stage, percent: percents[stage] })
  }
}

const late = ({ console }: Machine, timeoutMs: number): string => {
  const seen: Record<Stage, string> = {
    firmware: "its firmware has started no kernel", kernel: "its kernel has started no system", userspace: "its system has started, and is not ready"
  }
  return `not ready within ${timeoutMs / 1000} s: ${seen[stageOf(console)]}`
}

const ask = Effect.fnUntraced(function*(machine: Machine, order: BootOrder, timeoutMs: number, report: Report): Effect.fn.Return<{ readonly problem?: string; readonly facts?: Facts }> {
  report.progress({ stage: "checks", percent: percents.checks })
  const program = lookProgram(order, Math.round(timeoutMs / 1000))
  machine.tell(`${Buffer.byteLength(program)}\n${program}`)
  // Both what it waits for, systemd and the program, may take their whole time.
  return yield* machine.until(() => answered.test(machine.answer) ? { facts: factsOf(machine.answer) } : machine.ended === undefined ? undefined : { problem: machine.ended }).pipe(
    Effect.timeoutOrElse({ duration: 2 * timeoutMs + 30_000, orElse: () => Effect.succeed({ problem: "the machine was ready, and did not say what it is" }) }))
})

const picture = (machine: Machine, dir: string): Effect.Effect<Uint8Array | undefined> =>
  machine.monitor.run("screendump", { filename: names.screenshot, format: "png" }).pipe(
    Effect.timeoutOrElse({ duration: "10 seconds", orElse: () => Effect.succeed<string | undefined>("late") }),
    Effect.flatMap((problem) => problem !== undefined ? Effect.undefined : Effect.promise(async () => {
      const file = join(dir, names.screenshot)
      const { size } = await stat(file)
      return size > 0 && size <= mostPicture ? new Uint8Array(await readFile(file)) : undefined
    })),
    Effect.catchCause(() => Effect.undefined)
  )
