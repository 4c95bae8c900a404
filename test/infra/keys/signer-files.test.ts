import { mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Signer } from "../../../domain/ports/signer.ts"
import { SignerFiles } from "../../../infra/keys/signer-files.ts"

const inFolder = <A, E>(use: (folder: string) => Effect.Effect<A, E>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "kiln-signer-"))), use,
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true })))

describe("a signature", () => {
  it.effect("holds for its text in every process, and for no other text or key", () =>
    inFolder((folder) =>
      Effect.gen(function*() {
        const signer = yield* Effect.provide(Signer, SignerFiles(folder))
        const again = yield* Effect.provide(Signer, SignerFiles(folder))
        const stranger = yield* Effect.provide(Signer, SignerFiles(join(folder, "other")))
        const signature = signer.sign("a")
        assert.isTrue(again.verify("a", signature))
        assert.isFalse(signer.verify("b", signature))
        assert.isFalse(stranger.verify("a", signature))
        for (const forged of ["", "x", signature.slice(1), `${signature}AA`]) assert.isFalse(signer.verify("a", forged))
        assert.strictEqual(statSync(join(folder, "links.json")).mode & 0o777, 0o600)
      })))
})
