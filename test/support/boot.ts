/** Boots a disk image in the worker's own emulator, lets tests log in, and says what came out of its serial line. */
import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { mkdir, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { Effect } from "effect"
import type { Firmware } from "../../domain/boot-test.ts"
import type { Facts } from "../../domain/ports/image-tests.ts"
import { freePort } from "../../infra/process/free-port.ts"
import { argumentsFor, names } from "../../infra/qemu/arguments.ts"
import { bootMachine } from "../../infra/qemu/boot.ts"
import { saysReady } from "../../infra/qemu/console.ts"
import { prepareFirmware } from "../../infra/qemu/disk.ts"
import { answered, factsOf, lookProgram } from "../../infra/qemu/facts.ts"
import { emulators, missingFor } from "../../infra/qemu/firmware.ts"
import { type Machine as Emulated, startMachine } from "../../infra/qemu/machine.ts"

const runFile = promisify(execFile)

export interface Boot {
  readonly image: string
  /** qcow2 unless said. */
  readonly format?: string
  readonly firmware: Firmware
  /** Bytes of the disk that the machine sees, when more than the image's. */
  readonly diskBytes?: number
  readonly timeoutMs?: number
}

export interface Machine {
  /** All that the serial line has said so far. */
  readonly console: () => string
  /** Runs one command line as a user, by key; its stdout. */
  readonly ssh: (user: string, keyFile: string, command: string) => Promise<string>
  /** What its agent says of it. */
  readonly facts: (looks: Parameters<typeof lookProgram>[0]) => Promise<Facts>
}

/** What is missing for booting here, as one sentence; `undefined` when nothing is. */
export const bootImpossible = (firmware: Firmware): string | undefined =>
  missingFor("x86_64", firmware) ?? (existsSync("/usr/bin/ssh") ? undefined : "install openssh-client to log in to what is booted")

/** A machine without a disk, whose network card runs the iPXE script at a URL; 10.0.2.2 is this machine. */
export interface NetworkBoot extends Pick<Boot, "firmware" | "timeoutMs"> {
  readonly script: string
}

/** Gives `use` a machine that is up; the machine is gone afterwards, however that ends. By emulation: no test should depend on KVM. */
export const booted = async <A>(boot: Boot | NetworkBoot, use: (machine: Machine) => Promise<A>): Promise<A> => {
  const { firmware, timeoutMs = 600_000 } = boot
  const dir = await mkdtemp(join(tmpdir(), "kiln-boot-"))
  const once = Effect.gen(function*() {
    const port = yield* freePort
    const machine = yield* "script" in boot ? fromNetwork(boot, port, join(dir, "machine")) : fromImage(boot, port, join(dir, "machine"))
    const end = yield* machine.until(() => saysReady(machine.console) ? "up" : machine.ended).pipe(
      Effect.timeoutOrElse({ duration: timeoutMs, orElse: () => Effect.succeed(`not up within ${timeoutMs / 1000} s`) }))
    if (end !== "up") return yield* Effect.die(new Error(`${firmware} boot: ${end}; the console ends with:\n${machine.console.slice(-2000)}`))
    return yield* Effect.promise(() => use({ console: () => machine.console, ssh: sshTo(port, timeoutMs), facts: factsFrom(machine) }))
  })
  try {
    return await Effect.runPromise(Effect.scoped(once))
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

const hardware = { architecture: "x86_64", accelerator: "tcg" } as const
const sshAt = (port: number) => [{ from: port, to: 22 }]

const fromImage = ({ diskBytes, firmware, format = "qcow2", image }: Boot, port: number, dir: string) =>
  bootMachine({ path: image, format, firmware, ...hardware, forward: sshAt(port), ...(diskBytes !== undefined && { diskBytes }) }, dir)

const fromNetwork = Effect.fnUntraced(function*({ firmware, script }: NetworkBoot, port: number, dir: string) {
  yield* Effect.promise(() => mkdir(dir))
  yield* prepareFirmware(hardware.architecture, firmware, dir)
  const args = argumentsFor({ ...hardware, firmware, medium: "cdrom", forward: sshAt(port) }).map((argument) => {
    if (argument.startsWith("user,id=net")) return argument.replace("restrict=on", `bootfile=${script}`)
    // With the card's own program, which boot tests go without; the drive for CDs is empty.
    if (argument.startsWith("virtio-net-pci")) return "virtio-net-pci,netdev=net,bootindex=0"
    return argument.startsWith(`file=${names.medium}`) ? "if=none,id=medium,media=cdrom" : argument
  })
  return yield* startMachine({ program: emulators[hardware.architecture].program, cwd: dir, args })
})

const factsFrom = (machine: Emulated): Machine["facts"] => (looks) => Effect.runPromise(Effect.gen(function*() {
  yield* machine.until(() => /kiln-test 1\n/.test(machine.answer) || undefined)
  const program = lookProgram(looks, 120)
  machine.tell(`${Buffer.byteLength(program)}\n${program}`)
  return yield* machine.until(() => answered.test(machine.answer) ? factsOf(machine.answer) : undefined)
}).pipe(Effect.timeout("2 minutes")))

const sshOptions = [
  "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes", "IdentitiesOnly=yes", "ConnectTimeout=60", "ConnectionAttempts=3"
]

const sshTo = (port: number, timeout: number): Machine["ssh"] => async (user, keyFile, command) => {
  const options = sshOptions.flatMap((option) => ["-o", option])
  return (await runFile("ssh", ["-i", keyFile, "-p", String(port), ...options, `${user}@127.0.0.1`, command], { timeout })).stdout
}
