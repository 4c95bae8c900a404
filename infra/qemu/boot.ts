/** From an image to a machine that runs. */
import { mkdir, rm } from "node:fs/promises"
import { Effect } from "effect"
import type { Firmware } from "../../domain/boot-test.ts"
import type { Architecture } from "../../domain/ids.ts"
import type { Accelerator } from "./accelerator.ts"
import { argumentsFor, type Hardware } from "./arguments.ts"
import { mediumOf, prepareDisk, prepareFirmware } from "./disk.ts"
import { emulators } from "./firmware.ts"
import { startMachine } from "./machine.ts"

export interface Boot extends Pick<Hardware, "forward"> {
  readonly path: string
  readonly format: string
  readonly architecture: Architecture
  readonly firmware: Firmware
  readonly accelerator: Accelerator
  /** Bytes of the disk that the machine sees, when more than the image's. */
  readonly diskBytes?: number
  readonly onLine?: (line: string) => void
}

/** It lives in `dir`, which is made for it and removed after it. */
export const bootMachine = Effect.fn("qemu.boot")(function*(boot: Boot, dir: string) {
  const { architecture, diskBytes, firmware, format, onLine, path } = boot
  yield* Effect.acquireRelease(
    Effect.promise(() => mkdir(dir, { recursive: true, mode: 0o700 })),
    () => Effect.promise(() => rm(dir, { recursive: true, force: true }))
  )
  yield* prepareDisk({ path, format, ...(diskBytes !== undefined && { diskBytes }) }, dir)
  yield* prepareFirmware(architecture, firmware, dir)
  return yield* startMachine({
    program: emulators[architecture].program, cwd: dir,
    args: argumentsFor({ ...boot, medium: mediumOf(format)! }),
    ...(onLine && { onLine })
  })
})
