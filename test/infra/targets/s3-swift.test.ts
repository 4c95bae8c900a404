/** The s3 target against somebody else's S3: what Amazon's own refuses or allows is told apart from what our stand-in believes. */
import { createHash, randomBytes } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import type { CredentialsOf } from "../../../domain/credentials.ts"
import type { TargetOf } from "../../../domain/target.ts"
import { openS3 } from "../../../infra/targets/s3/client.ts"
import { s3Target } from "../../../infra/targets/s3/target.ts"
import { deliver, deliveryOf, deployment, newJournal, type Said } from "../../support/deliver.ts"
import { skipWhere } from "../../support/needs.ts"
import { temporaryFolder } from "../../support/servers.ts"
import { swift, swiftImpossible } from "../../support/swift.ts"

const impossible = swiftImpossible()
const target: TargetOf<"s3"> = { type: "s3", bucket: "images", prefix: "kiln/" }
const size = 70 * 2 ** 20 + 12_345

describe("the s3 target and OpenStack Swift", () => {
  skipWhere(impossible !== undefined, impossible ?? "")

  it.live("given a file of several parts, then it is there with its bytes, by link whole and in part, also after a delivery that died; wrong keys are told; and removed it is gone", () =>
    Effect.scoped(Effect.gen(function*() {
      const { credentials } = yield* swift
      const dir = yield* temporaryFolder
      const path = join(dir, "disk.raw")
      const bytes = randomBytes(size)
      writeFileSync(path, bytes)
      const { call, client, sdk } = yield* openS3(credentials)
      yield* call("s3:CreateBucket", () => client.send(new sdk.CreateBucketCommand({ Bucket: "images" })))
      const delivery = yield* Effect.promise(() => deliveryOf({ target, credentials, path }))
      assert.deepStrictEqual(yield* s3Target.check(target, credentials), [])

      // Ended when some parts are there.
      const [journal, said] = [newJournal(dir), { progress: [], lines: [] } as Said]
      const dying = yield* Effect.forkChild(deliver(s3Target, delivery, journal, said), { startImmediately: true })
      while (!said.progress.some(({ bytesDone = 0 }) => bytesDone > 0)) yield* Effect.sleep(5)
      yield* Fiber.interrupt(dying)
      const unfinished = yield* s3Target.marked(target, credentials, deployment)
      assert.deepStrictEqual(unfinished.map(({ resource }) => resource.kind), ["multipart-upload"])
      const again: Said = { progress: [], lines: [] }
      const copy = yield* deliver(s3Target, delivery, journal, again)
      // What was on its way when it ended is sent once more; what had arrived is not.
      assert.isBelow(copy.bytesSent, 2 * size)
      assert.strictEqual(again.progress.at(-1)?.bytesDone, size)
      assert.deepStrictEqual((yield* s3Target.marked(target, credentials, deployment)).map(({ resource }) => resource), copy.resources)

      const link = yield* s3Target.link!(target, copy, credentials, 60)
      const whole = yield* Effect.promise(async () => Buffer.from(await (await fetch(link)).arrayBuffer()))
      assert.strictEqual(createHash("sha256").update(whole).digest("hex"), delivery.sha256)
      const part = yield* Effect.promise(() => fetch(link, { headers: { range: "bytes=20000000-20000999" } }))
      assert.strictEqual(part.status, 206)
      assert.isTrue(Buffer.from(yield* Effect.promise(() => part.arrayBuffer())).equals(bytes.subarray(20_000_000, 20_001_000)))
      assert.strictEqual((yield* Effect.promise(() => fetch(link.replace("disk.raw", "disk2.raw")))).status, 403)

      const wrong: CredentialsOf<"aws"> = { ...credentials, secret_access_key: "not-the-secret" }
      const refusal = yield* Effect.flip(deliver(s3Target, { ...delivery, credentials: wrong }, newJournal(dir)))
      assert.strictEqual(refusal.class, "user")
      assert.notInclude(JSON.stringify(refusal), "not-the-secret")
      const missing = yield* Effect.flip(deliver(s3Target, { ...delivery, target: { ...target, bucket: "no-such-bucket" } }, newJournal(dir)))
      assert.deepStrictEqual([missing.class, /NoSuchBucket|404|NotFound/.test(missing.message)], ["user", true])

      yield* s3Target.remove(target, copy.resources, credentials)
      yield* s3Target.remove(target, copy.resources, credentials)
      assert.deepStrictEqual(yield* s3Target.marked(target, credentials, deployment), [])
    })), 180_000)
})
