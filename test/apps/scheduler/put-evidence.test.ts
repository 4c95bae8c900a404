import { gzipSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { putEvidence } from "../../../apps/scheduler/put-evidence.ts"
import { Blobs } from "../../../domain/ports/blobs.ts"
import { BlobsInMemory } from "../../../infra/memory/blobs.ts"

const packed = (bytes: string | Uint8Array) => gzipSync(bytes).toString("base64")

describe("what a worker says of an image", () => {
  it.effect("is kept as people will be given it", () =>
    Effect.gen(function*() {
      const { cyclonedx, spdx, tools } = yield* putEvidence({ spdx: packed("{\"a\":1}"), cyclonedx: packed("{}"), tools: { dpkg: "1" } })
      const blobs = yield* Blobs
      assert.strictEqual(new TextDecoder().decode(yield* blobs.get(spdx!.digest)), "{\"a\":1}")
      assert.deepStrictEqual([spdx!.size, cyclonedx!.size, tools], [7, 2, { dpkg: "1" }])
    }).pipe(Effect.provide(BlobsInMemory)))

  it.effect("is left out, and no more than that, where it cannot be unpacked or is without measure", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* putEvidence({ spdx: "%%%", cyclonedx: packed(new Uint8Array(17 * 2 ** 20)) }), {})
      assert.deepStrictEqual(yield* putEvidence({}), {})
      assert.deepStrictEqual(yield* putEvidence({ noBill: "nobody knows" }), { noBill: "nobody knows" })
    }).pipe(Effect.provide(BlobsInMemory)))
})
