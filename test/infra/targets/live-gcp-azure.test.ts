/** Google and Azure themselves, where somebody has said which account; takes minutes, costs cents, and takes away what it has made. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { v7 } from "uuid"
import { AzureCredentials, type Credentials, GcpCredentials } from "../../../domain/credentials.ts"
import { ComposeId } from "../../../domain/ids.ts"
import type { ImageTarget } from "../../../domain/ports/image-targets.ts"
import { AzureTarget, GcpTarget, type Target } from "../../../domain/target.ts"
import { convert } from "../../../infra/formats/convert.ts"
import { azureTarget } from "../../../infra/targets/azure/target.ts"
import { gcpTarget } from "../../../infra/targets/gcp/target.ts"
import { diskSaying } from "../../support/aws-cloud.ts"
import { deliver, deliveryOf, deployment, newJournal } from "../../support/deliver.ts"
import { skipWhere } from "../../support/needs.ts"

const hours = 3_600_000
const gcpFile = process.env["KILN_LIVE_GCP"]
const azureFile = process.env["KILN_LIVE_AZURE"]
const said = <S extends Schema.ConstraintDecoder<unknown>>(schema: S, file: string): S["Type"] => Schema.decodeUnknownSync(Schema.fromJsonString(schema))(readFileSync(file, "utf8"))

/** Delivered twice it is one image; removed, nothing with its marks is left. */
const trial = Effect.fnUntraced(function*<Of extends Target>(to: ImageTarget<Of>, target: Of, credentials: Credentials, format?: "gcp") {
  const dir = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "kiln-live-"))),
    (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
  )
  const disk = join(dir, "disk.raw")
  writeFileSync(disk, diskSaying("a trial of Kiln"))
  const path = format === undefined ? disk : join(dir, "disk.tar.gz")
  if (format !== undefined) yield* convert({ path: disk, format: "raw" }, { path, format })
  const composeId = ComposeId.make(v7())
  const delivery = yield* Effect.promise(() => deliveryOf({ target, credentials, path, delivery: { composeId } as never }))
  const ours = Effect.map(to.marked(target, credentials, deployment), (all) => all.filter(({ marks }) => marks.composeId === composeId))
  yield* Effect.addFinalizer(() => Effect.orDie(Effect.flatMap(ours, (left) => to.remove(target, left.map(({ resource }) => resource), credentials))))

  assert.deepStrictEqual(yield* to.check(target, credentials), [])
  const copy = yield* deliver(to, delivery, newJournal(dir))
  const again = yield* deliver(to, delivery, newJournal(dir))
  assert.deepStrictEqual([again.id, again.resources], [copy.id, copy.resources])
  assert.sameMembers((yield* ours).map(({ resource }) => resource.id), copy.resources.map(({ id }) => id))
  yield* to.remove(target, copy.resources, credentials)
  assert.deepStrictEqual(yield* ours, [])
})

describe("Compute Engine itself", () => {
  skipWhere(gcpFile === undefined, "KILN_LIVE_GCP names no file with a target and credentials for a trial at Google's")
  it.live("takes an image, finds it when it is asked again, and lets it go", () => {
    const { credentials, target } = said(Schema.Struct({ target: GcpTarget, credentials: GcpCredentials }), gcpFile!)
    return trial(gcpTarget, target, credentials, "gcp")
  }, hours)
})

describe("Azure itself", () => {
  skipWhere(azureFile === undefined, "KILN_LIVE_AZURE names no file with a target and credentials for a trial at Azure's")
  it.live("takes an image, finds it when it is asked again, and lets it go", () => {
    const { credentials, target } = said(Schema.Struct({ target: AzureTarget, credentials: AzureCredentials }), azureFile!)
    return trial(azureTarget, target, credentials)
  }, hours)
})
