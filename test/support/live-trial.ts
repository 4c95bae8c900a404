/** A delivery to an account as it is: tried, made, made again, found and removed. Whatever happens, nothing with its marks stays. */
import { assert } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { v7 } from "uuid"
import type { Credentials } from "../../domain/credentials.ts"
import { ComposeId } from "../../domain/ids.ts"
import type { Delivery, ImageTarget } from "../../domain/ports/image-targets.ts"
import type { Target } from "../../domain/target.ts"
import { convert, type DiskFormat } from "../../infra/formats/convert.ts"
import { diskSaying } from "./aws-cloud.ts"
import { deliver, deliveryOf, deployment, newJournal } from "./deliver.ts"

/** What a file with `target` and `credentials` says; it may be for no other target. */
export const trialIn = <T extends Schema.ConstraintDecoder<unknown>, C extends Schema.ConstraintDecoder<unknown>>(target: T, credentials: C, file: string) =>
  Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Struct({ target, credentials })), { onExcessProperty: "error" })(readFileSync(file, "utf8"))

export const liveTrial = Effect.fnUntraced(function*<Of extends Target>(to: ImageTarget<Of>, target: Of, credentials: Credentials) {
  const dir = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "kiln-live-"))),
    (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
  )
  const disk = join(dir, "disk.raw")
  writeFileSync(disk, diskSaying("a trial of Kiln"))
  const composeId = ComposeId.make(v7())
  const given = { target, credentials, path: disk, delivery: { composeId } as Partial<Delivery<Of>> }
  const raw = yield* Effect.promise(() => deliveryOf(given))
  const format = (yield* to.format(raw)) as DiskFormat | undefined
  const path = format === undefined ? disk : join(dir, `disk.${format}`)
  if (format !== undefined) yield* convert({ path: disk, format: "raw" }, { path, format })
  const delivery = yield* Effect.promise(() => deliveryOf({ ...given, path }))
  const ours = Effect.map(to.marked(target, credentials, deployment), (all) => all.filter(({ marks }) => marks.composeId === composeId))
  yield* Effect.addFinalizer(() => Effect.orDie(Effect.flatMap(ours, (left) => to.remove(target, left.map(({ resource }) => resource), credentials))))

  assert.deepStrictEqual(yield* to.check(target, credentials), [])
  const copy = yield* deliver(to, delivery, newJournal(dir))
  const again = yield* deliver(to, delivery, newJournal(dir))
  assert.deepStrictEqual([again.id, again.resources], [copy.id, copy.resources])
  assert.sameMembers((yield* ours).map(({ resource }) => resource.id), copy.resources.map(({ id }) => id))
  yield* to.remove(target, copy.resources, credentials)
  assert.deepStrictEqual(yield* ours, [])
}, Effect.scoped)
