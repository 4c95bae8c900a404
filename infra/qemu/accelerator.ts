/** Whether this machine's processor can run the guest itself. Found out by doing: neither the device nor a flag proves it. */
import { accessSync, constants, readFileSync } from "node:fs"
import { Deferred, Effect } from "effect"
import type { TestReport } from "../../domain/boot-test.ts"
import type { Architecture } from "../../domain/ids.ts"
import { run } from "../process/run.ts"
import { emulators } from "./firmware.ts"

export type Accelerator = TestReport["accelerator"]

const natives: Partial<Record<string, Architecture>> = { x64: "x86_64", arm64: "aarch64" }
const native = natives[process.arch]

const isThere = (): boolean => {
  try {
    accessSync("/dev/kvm", constants.R_OK | constants.W_OK)
    return native === "aarch64" || /^flags\s.*\b(vmx|svm)\b/m.test(readFileSync("/proc/cpuinfo", "utf8"))
  } catch {
    return false
  }
}

/** The firmware of an empty PC says its first word within moments, or the processor cannot do it. */
const trial = Effect.gen(function*() {
  const { machine, program } = emulators.x86_64
  const spoke = yield* Deferred.make<boolean>()
  const trying = run({
    argv: [
      program, "-nodefaults", "-no-user-config", "-display", "none", "-machine", machine, "-accel", "kvm", "-cpu", "host", "-m", "64",
      "-chardev", "stdio,id=log", "-device", "isa-debugcon,iobase=0x402,chardev=log"
    ],
    onLine: (line) => void (/SeaBIOS/.test(line) && Deferred.doneUnsafe(spoke, Effect.succeed(true)))
  })
  return yield* Effect.raceFirst(Deferred.await(spoke), Effect.as(trying, false)).pipe(
    Effect.timeoutOrElse({ duration: "10 seconds", orElse: () => Effect.succeed(false) }),
    Effect.orElseSucceed(() => false)
  )
})

/** Of this process: tried once. */
export const makeAccelerator = Effect.map(
  Effect.cached(Effect.suspend(() => !isThere() ? Effect.succeed(false) : native === "x86_64" ? trial : Effect.succeed(true))),
  (works) => (architecture: Architecture): Effect.Effect<Accelerator> =>
    architecture === native ? Effect.map(works, (kvm) => kvm ? "kvm" : "tcg") : Effect.succeed("tcg")
)
