/** Who knows the address of an upload's session may write to it. It lies in the journal, which nobody else can read, and nowhere else. */
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { inKilnsWords } from "../../../infra/targets/call-failed.ts"
import { agentOf, agentsFor } from "../../../infra/targets/agents.ts"
import { sendFile } from "../../../infra/targets/gcp/resumable-upload.ts"
import { gcpTargetWith } from "../../../infra/targets/gcp/target.ts"
import { deliver, deliveryOf, newJournal, type Said } from "../../support/deliver.ts"
import { gcpStandIn } from "../../support/gcp-stand-in.ts"
import { temporaryFolder } from "../../support/servers.ts"
import { listen } from "../../support/stand-in.ts"

const targets = join(import.meta.dirname, "../../../infra/targets")
const size = 1 << 19

describe("the address of a session", () => {
  it.live("given an upload that is refused in its midst, then it is in the journal, which is its owner's alone, and not in what is said", () =>
    Effect.gen(function*() {
      const google = yield* gcpStandIn
      const path = join(google.dir, "archive")
      writeFileSync(path, Buffer.alloc(size, "kiln"))
      const said: Said = { progress: [], lines: [] }
      const journal = newJournal(google.dir)
      google.failWith(/^PUT /u, 403, "forbidden", "no")
      const delivery = yield* Effect.promise(() => deliveryOf({ target: { type: "gcp", bucket: "example-images" }, credentials: google.credentials(), path }))
      const failed = yield* Effect.flip(deliver(gcpTargetWith({ pauseMs: 5, pollMs: 1, chunkSize: 1 << 18 }), delivery, journal, said))
      const [session] = google.gcs.sessions.keys()
      assert.include(readFileSync(journal, "utf8"), session!)
      assert.strictEqual(statSync(journal).mode & 0o777, 0o600)
      assert.notInclude(JSON.stringify([failed.message, said]), session!)
    }).pipe(Effect.scoped))

  it.live("given a refusal that repeats it, then it is taken out of the words", () =>
    Effect.gen(function*() {
      const path = join(yield* temporaryFolder, "archive")
      writeFileSync(path, Buffer.alloc(size))
      const port = yield* listen(({ url }) => ({ status: 400, body: { error: { message: `nothing fits https://storage.example${url}` } } }))
      const agents = agentsFor({ publicOnly: false })
      const failed = yield* Effect.flip(sendFile({
        uri: `http://127.0.0.1:${port}/upload?upload_id=opens-it`, agent: (url) => agentOf(agents, url), path, size, chunkSize: 1 << 18, pauseMs: 5,
        checksum: { update: () => {}, toString: () => "" }, onSent: () => Effect.void
      }))
      const { message } = inKilnsWords(failed)
      assert.include(message, "nothing fits")
      assert.notInclude(message, "opens-it")
    }).pipe(Effect.scoped))

  it("is logged by nothing, since no target logs anything", () => {
    const sources = readdirSync(targets, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"))
    assert.isAbove(sources.length, 30)
    for (const name of sources) assert.notMatch(readFileSync(join(targets, name), "utf8"), /Effect\.log|console\.(log|error|warn|info)\(|process\.std(out|err)/u, name)
  })
})
