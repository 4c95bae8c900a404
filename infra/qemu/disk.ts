/** A finished image as a disk that may be written to: an overlay, which is thrown away with its folder. */
import { copyFile, symlink } from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import type { Firmware } from "../../domain/boot-test.ts"
import type { Architecture } from "../../domain/ids.ts"
import { BuildFailed } from "../../domain/ports/image-builder.ts"
import { convert, type DiskFormat, diskFormats } from "../formats/convert.ts"
import { runOrFail } from "../process/run.ts"
import { names } from "./arguments.ts"
import { uefiOf } from "./firmware.ts"

/** What an emulator reads as it is; all others are made into a plain disk first. */
const direct: ReadonlySet<string> = new Set(["raw", "qcow2", "vmdk"])
const isDisk = (format: string): format is DiskFormat => format in diskFormats

export const mediumOf = (format: string): "disk" | "cdrom" | undefined => isDisk(format) ? "disk" : format === "iso" ? "cdrom" : undefined

interface Source {
  readonly path: string
  readonly format: string
  readonly diskBytes?: number
}

export const prepareDisk = Effect.fn("qemu.prepareDisk")(function*({ diskBytes, format, path }: Source, dir: string) {
  if (!isDisk(format)) {
    return yield* io(() => symlink(path, join(dir, names.medium)))
  }
  const plain = { path: join(dir, "disk.raw"), format: "raw" } as const
  if (!direct.has(format)) yield* convert({ path, format }, plain)
  const backing = direct.has(format) ? { path, format } : plain
  yield* runOrFail({
    argv: ["qemu-img", "create", "-q", "-f", "qcow2", "-b", backing.path, "-F", backing.format, join(dir, names.disk), ...(diskBytes === undefined ? [] : [String(diskBytes)])]
  }, ({ tail }) => new BuildFailed({ class: "platform", message: "the image cannot be opened", excerpt: tail.join("\n") }))
})

/** Its variables are the machine's own. */
export const prepareFirmware = (architecture: Architecture, firmware: Firmware, dir: string) =>
  firmware === "bios" ? Effect.void : io(() => copyFile(uefiOf(architecture)![1], join(dir, names.variables)))

const io = (what: () => Promise<void>) =>
  Effect.tryPromise({ try: what, catch: (error) => new BuildFailed({ class: "platform", message: `preparing the machine: ${(error as Error).message}` }) })
