/** Amazon itself, where somebody has said which account; takes minutes to an hour, costs cents, and takes away what it has made. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { v7 } from "uuid"
import { AwsCredentials } from "../../../../domain/credentials.ts"
import { ComposeId } from "../../../../domain/ids.ts"
import { AwsTarget } from "../../../../domain/target.ts"
import { awsTarget } from "../../../../infra/targets/aws/target.ts"
import { diskSaying } from "../../../support/aws-cloud.ts"
import { deliver, deliveryOf, deployment, newJournal } from "../../../support/deliver.ts"
import { skipWhere } from "../../../support/needs.ts"

const file = process.env["KILN_LIVE_AWS"]
const Live = Schema.Struct({ target: AwsTarget, credentials: AwsCredentials })

describe("EC2 itself", () => {
  skipWhere(file === undefined, "KILN_LIVE_AWS names no file with a target and credentials for a trial at Amazon's")

  it.live("takes an image, finds it when it is asked again, and lets it go", () =>
    Effect.scoped(Effect.gen(function*() {
      const { credentials, target } = Schema.decodeUnknownSync(Schema.fromJsonString(Live))(readFileSync(file!, "utf8"))
      const dir = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "kiln-live-aws-"))),
        (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
      )
      const path = join(dir, "disk.raw")
      writeFileSync(path, diskSaying("a trial of Kiln"))
      const composeId = ComposeId.make(v7())
      const delivery = yield* Effect.promise(() => deliveryOf({ target, credentials, path, delivery: { composeId } }))
      const ours = Effect.map(awsTarget.marked(target, credentials, deployment), (all) => all.filter(({ marks }) => marks.composeId === composeId))
      const removed = Effect.flatMap(ours, (left) => awsTarget.remove(target, left.map(({ resource }) => resource), credentials))
      yield* Effect.addFinalizer(() => Effect.orDie(removed))

      assert.deepStrictEqual(yield* awsTarget.check(target, credentials), [])
      const copy = yield* deliver(awsTarget, delivery, newJournal(dir))
      const again = yield* deliver(awsTarget, delivery, newJournal(dir))
      assert.deepStrictEqual([again.id, again.resources], [copy.id, copy.resources])
      const ids = (yield* ours).map(({ resource }) => resource.id)
      assert.sameMembers(ids, copy.resources.map(({ id }) => id))
      yield* awsTarget.remove(target, copy.resources, credentials)
      assert.deepStrictEqual(yield* ours, [])
    })), 2 * 3_600_000)
})
