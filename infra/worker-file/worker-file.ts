/** What an operator lets a worker do, from its file (JSON or YAML). */
import { readFile } from "node:fs/promises"
import { Effect, Schema } from "effect"
import { parse } from "yaml"
import { DistributionId, ImageType } from "../../domain/compose-request.ts"
import { Architecture, PoolId } from "../../domain/ids.ts"

const optional = Schema.optionalKey
const Slots = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1024 }))
const Label = Schema.String.check(Schema.isMaxLength(200))

/** Absent: the machine's own architecture, all distributions and image types, and the usual slots. */
export const WorkerFile = Schema.Struct({
  pools: optional(Schema.NonEmptyArray(PoolId).check(Schema.isMaxLength(8))),
  architectures: optional(Schema.NonEmptyArray(Architecture)),
  /** A kind that is not named has no slot, but whoever builds also tests, one at a time, and whoever uploads also deletes, two at a time. */
  slots: optional(Schema.Struct({ resolve: optional(Slots), build: optional(Slots), test: optional(Slots), upload: optional(Slots), delete: optional(Slots) })),
  distributions: optional(Schema.NonEmptyArray(DistributionId)),
  image_types: optional(Schema.NonEmptyArray(ImageType)),
  labels: optional(Schema.Record(Schema.String, Label).check(Schema.isMaxProperties(32)))
})
export type WorkerFile = typeof WorkerFile.Type

export class WorkerFileInvalid extends Schema.TaggedError<WorkerFileInvalid>()("WorkerFileInvalid", { message: Schema.String }) {}

export const readWorkerFile = Effect.fn("readWorkerFile")(function*(path: string) {
  const invalid = (why: unknown) => new WorkerFileInvalid({ message: `KILN_WORKER_FILE names ${path}: ${why instanceof Error ? why.message : String(why)}` })
  const text = yield* Effect.tryPromise({ try: () => readFile(path, "utf8"), catch: invalid })
  const value: unknown = yield* Effect.try({ try: () => parse(text) as unknown, catch: invalid })
  return yield* Schema.decodeUnknownEffect(WorkerFile)(value ?? {}, { onExcessProperty: "error", errors: "all" }).pipe(Effect.mapError(invalid))
})
