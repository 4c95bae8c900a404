/** Disks in the file formats that clouds and hypervisors want. Nothing in here knows what is on a disk. */
import { rename, rm } from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import { BuildFailed } from "../../domain/ports/image-builder.ts"
import { convertProgress } from "./progress.ts"
import { runOrFail } from "../process/run.ts"

/** How a file of each format is called and typed. */
export const diskFormats = {
  raw: { extension: "raw", mediaType: "application/octet-stream" },
  "raw.zst": { extension: "raw.zst", mediaType: "application/zstd" },
  qcow2: { extension: "qcow2", mediaType: "application/x-qemu-disk" },
  /** Stream-optimised, as vSphere takes it. */
  vmdk: { extension: "vmdk", mediaType: "application/x-vmdk" },
  /** Of fixed size, as Azure takes it. */
  vhd: { extension: "vhd", mediaType: "application/x-vhd" },
  /** `disk.raw` in a compressed archive, as Compute Engine takes it. */
  gcp: { extension: "tar.gz", mediaType: "application/gzip" },
  ova: { extension: "ova", mediaType: "application/x-virtualbox-ova" }
} as const
export type DiskFormat = keyof typeof diskFormats

export interface DiskFile {
  readonly path: string
  readonly format: DiskFormat
}

export const convertScript = join(import.meta.dirname, "convert.sh")

/**
 * Makes `to` of `from`: the same bytes for the same disk. What is left is either all of it or nothing. `onProgress` hears
 * percents, where the tool tells any.
 */
export const convert = Effect.fn("convert")(function*(
  from: DiskFile,
  to: DiskFile,
  onProgress: (percent: number) => void = () => {}
): Effect.fn.Return<void, BuildFailed> {
  const part = `${to.path}.part`
  const clear = Effect.promise(() => Promise.all([part, `${part}.parts`].map((path) => rm(path, { recursive: true, force: true }))))
  yield* runOrFail(
    {
      argv: ["bash", convertScript, from.format, from.path, to.format, part],
      onLine: (line) => {
        const percent = convertProgress(line)
        if (percent !== undefined) onProgress(percent)
      }
    },
    ({ code, tail }) => failed(from, to, code, tail.filter((line) => convertProgress(line) === undefined))
  ).pipe(
    Effect.andThen(Effect.tryPromise({ try: () => rename(part, to.path), catch: (error) => failed(from, to, 0, [(error as Error).message]) })),
    Effect.ensuring(clear)
  )
})

const failed = (from: DiskFile, to: DiskFile, code: number, tail: ReadonlyArray<string>) => {
  const excerpt = tail.join("\n")
  const why = /No space left on device|Disk quota exceeded/i.test(excerpt) ? "no space left on this worker's disk" : `exit ${code}`
  return new BuildFailed({ class: "platform", message: `making ${to.format} of ${from.format} failed: ${why}`, excerpt })
}
