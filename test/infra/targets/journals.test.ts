/** Journals on disk: what is noted is there after a kill, for nobody else to read, and not for ever. */
import { appendFileSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Journals } from "../../../domain/ports/journals.ts"
import { JobId } from "../../../domain/ids.ts"
import { journalAt, JournalsFiles } from "../../../infra/targets/journals.ts"
import { composeId, digest, jobs, tenantId } from "../../support/composes.ts"
import { temporaryFolder } from "../../support/servers.ts"

const day = 86_400_000
const of = { tenantId, composeId, jobId: jobs.upload, artifact: digest }
const other = { ...of, jobId: JobId.make("0-upload-1") }

describe("a journal", () => {
  it.live("given notes, when it is opened again, then the last of each step is there, and who else is on the machine cannot read them", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryFolder
      const path = join(dir, "a", "j.jsonl")
      const journal = yield* journalAt(path)
      assert.isUndefined(journal.read("step"))
      yield* journal.note("step", { at: 1 })
      yield* Effect.all(Array.from({ length: 50 }, (_, at) => journal.note(`part ${at % 5}`, at)), { concurrency: "unbounded" })
      yield* journal.note("step", { at: 2 })
      yield* journal.note("none", null)
      const again = yield* journalAt(path)
      assert.deepStrictEqual([again.read("step"), again.read("none"), again.read("part 4"), again.read("part 0")], [{ at: 2 }, null, 49, 45])
      assert.strictEqual(statSync(path).mode & 0o777, 0o600)
      assert.strictEqual(statSync(join(dir, "a")).mode & 0o777, 0o700)
    }).pipe(Effect.scoped))

  it.live("given a note that was cut off, when it is opened, then the others are there, and the next is whole", () =>
    Effect.gen(function*() {
      const path = join(yield* temporaryFolder, "j.jsonl")
      yield* (yield* journalAt(path)).note("one", 1)
      appendFileSync(path, "[\"two\",{\"upl")
      const torn = yield* journalAt(path)
      assert.deepStrictEqual([torn.read("one"), torn.read("two")], [1, undefined])
      yield* torn.note("three", 3)
      const after = yield* journalAt(path)
      assert.deepStrictEqual([after.read("one"), after.read("two"), after.read("three")], [1, undefined, 3])
    }).pipe(Effect.scoped))

  it.live("given a folder that cannot be written, when something is noted, then that fails as the platform's, and nothing is known of it", () =>
    Effect.gen(function*() {
      const path = join(yield* temporaryFolder, "folder", "j.jsonl")
      const journal = yield* journalAt(path)
      // Not a folder.
      writeFileSync(join(path, ".."), "")
      const failed = yield* Effect.flip(journal.note("one", 1))
      assert.strictEqual(failed.class, "platform")
      assert.isUndefined(journal.read("one"))
    }).pipe(Effect.scoped))

  it.live("given journals of two jobs, when one is closed and time goes by, then that one is gone first, and none stays for ever", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryFolder
      yield* Effect.gen(function*() {
        const journals = yield* Journals
        const age = (ms: number) => {
          for (const name of readdirSync(dir)) {
            const at = new Date(statSync(join(dir, name)).mtimeMs - ms)
            utimesSync(join(dir, name), at, at)
          }
        }
        const [one, two] = [yield* journals.open(of), yield* journals.open(other)]
        yield* one.note("done", "one")
        yield* two.note("under way", "two")
        yield* journals.close(of)
        assert.strictEqual((yield* journals.open(of)).read("done"), "one")
        age(2 * day)
        assert.isUndefined((yield* journals.open(of)).read("done"))
        assert.strictEqual((yield* journals.open(other)).read("under way"), "two")
        age(13 * day)
        yield* journals.open(of)
        assert.deepStrictEqual(readdirSync(dir).map((name) => readFileSync(join(dir, name), "utf8")), [])
      }).pipe(Effect.provide(JournalsFiles(dir)))
    }).pipe(Effect.scoped))
})
