/** A disk from the tree that disk-image-create has packed, made as the debian builder makes its own. */
import { mkdir, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import type { Manifest } from "../../domain/manifest.ts"
import { BuildFailed, type BuiltFile, type Report } from "../../domain/ports/image-builder.ts"
import { diskIdsOf } from "../debian/disk-ids.ts"
import { diskFailure, failureOf } from "../debian/failures.ts"
import { fstabOf, partitionsOf, planText } from "../debian/layout.ts"
import { scriptPath } from "../debian/scripts.ts"
import { convert, type DiskFormat } from "../formats/convert.ts"
import { limitedOrFail } from "../sandbox/limited.ts"
import type { Limits } from "../sandbox/limits.ts"

const architectures = { x86_64: "amd64", aarch64: "arm64" } as const
const mebibyte = 2 ** 20
/** The rounding of disks that Google's cloud takes. */
const wholeBytes: Partial<Record<DiskFormat, number>> = { gcp: 2 ** 30 }

export const assemble = Effect.fn("diskimage-builder.assemble")(function*(
  manifest: Manifest, packed: BuiltFile, workspace: string, report: Report, from: number, limits: Limits
): Effect.fn.Return<BuiltFile, BuildFailed> {
  const ids = diskIdsOf(manifest)
  const format = packed.format as DiskFormat
  const partitions = partitionsOf(manifest.image.architecture, {}, ids)
  const [input, raw, path] = [join(workspace, "input"), join(workspace, "disk.raw"), join(workspace, "disk.out")]
  yield* Effect.tryPromise({
    try: async () => {
      await mkdir(input)
      await writeFile(join(input, "partitions"), planText(partitions))
      await writeFile(join(input, "fstab"), fstabOf(partitions, ids))
    },
    catch: diskFailure("writing the plan of the disk")
  })
  report.progress({ stage: "disk", percent: from })
  yield* limitedOrFail({
    argv: ["bash", join(import.meta.dirname, "assemble.sh"), packed.path, raw, scriptPath("disk.sh")],
    cwd: workspace,
    graceMs: 900,
    env: {
      SOURCE_DATE_EPOCH: "1790000000", KILN_INPUT: input, KILN_SIZE: "", KILN_WHOLE: String(wholeBytes[format] ?? mebibyte),
      KILN_ARCHITECTURE: architectures[manifest.image.architecture], KILN_KERNEL: `root=PARTUUID=${ids.root} ro console=tty0 console=ttyS0,115200 quiet`,
      KILN_DISK_ID: ids.disk, KILN_ESP_ID: ids.esp, KILN_FAT_ID: ids.fat
    },
    onLine: report.line
  }, workspace, limits, ({ code, tail }) => tail.some((line) => line.startsWith("kiln-no-kernel"))
    ? new BuildFailed({ class: "platform", message: "there is no kernel in the tree: only trees with a kernel can be assembled", excerpt: tail.join("\n") })
    : failureOf("making the disk", code, tail))
  yield* Effect.promise(() => rm(packed.path, { force: true }))
  report.progress({ stage: "convert", percent: from + 5 })
  yield* convert({ path: raw, format: "raw" }, { path, format }, (percent) =>
    report.progress({ stage: "convert", percent: from + 5 + percent / 20 }))
  return { ...packed, path }
})
