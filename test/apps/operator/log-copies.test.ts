/** `kiln events export` and `import`: to files, to S3, into an empty Kiln, cut off, and damaged. */
import { spawn } from "node:child_process"
import { readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { type Context, Deferred, Effect } from "effect"
import { v7 } from "uuid"
import { ComposeId, TenantId } from "../../../domain/ids.ts"
import { periodAt } from "../../../domain/periods.ts"
import type { EventLog } from "../../../domain/ports/event-log.ts"
import { composeRef } from "../../../domain/recorded.ts"
import type { CoreNats } from "../../../infra/jetstream/nats.ts"
import { decisionOf, finished, requested } from "../../support/composes.ts"
import { emptyServer, logIn, messagesIn, operatorPorts } from "../../support/kiln-log.ts"
import { s3Keys, s3StandIn } from "../../support/s3-stand-in.ts"
import { temporaryFolder } from "../../support/servers.ts"
import { kiln as run, kilnProcess } from "./kiln-command.ts"

const keys = { AWS_ACCESS_KEY_ID: s3Keys.access_key_id, AWS_SECRET_ACCESS_KEY: s3Keys.secret_access_key }
const tenantId = TenantId.make("acme")
const nextPeriod = Effect.suspend(() => Effect.sleep(periodAt(1000, Date.now()).to - Date.now() + 5))
process.env["KILN_NATS_CORE_URL"] = "nats://of.the.test"
const kilnAt = (context: Context.Context<CoreNats>) => (...args: ReadonlyArray<string>) =>
  Effect.promise(() => run(args, { backends: operatorPorts(context) as never, columns: 200 }))
/** As people run it. */
const processAt = (nats: string) => (...args: ReadonlyArray<string>) => Effect.promise(() => kilnProcess(args, { KILN_NATS_CORE_URL: nats, ...keys }))

/** Three periods with composes in them. */
const fill = Effect.fnUntraced(function*(log: EventLog["Service"]) {
  for (let period = 0; period < 3; period += 1) {
    if (period > 0) yield* nextPeriod
    yield* Effect.forEach(Array.from({ length: 20 }, () => composeRef(tenantId, ComposeId.make(v7()))), Effect.fnUntraced(function*(ref) {
      yield* log.append(ref, 0, decisionOf(v7(), requested))
      yield* log.append(ref, 1, decisionOf(v7(), finished("succeeded")))
    }), { concurrency: "unbounded", discard: true })
  }
})

const namesOf = (core: CoreNats["Service"]) =>
  Effect.promise(async () => (await core.jsm.streams.list().next()).map(({ config: { name } }) => name).filter((name) => name.startsWith("EVENTS")).toSorted())
/** But for what the commands have said of themselves. */
const everything = Effect.fnUntraced(function*(core: CoreNats["Service"]) {
  const streams = yield* Effect.forEach(yield* namesOf(core), (name) => Effect.map(messagesIn(core, name), (messages) => [name, messages.filter(({ subject }) => !subject.includes(".operation."))] as const))
  return Object.fromEntries(streams.filter(([, { length }]) => length > 0))
})
const operationsIn = (kiln: ReturnType<typeof kilnAt>) =>
  Effect.map(kiln("events", "tail", "--once", "--json", "--from", "1", "--aggregate", "operation"), ({ out }) =>
    out.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line)).map(({ actor, events: [event] }) => [event._tag, event.operation, event.on, actor.kind] as const))

const given = Effect.gen(function*() {
  const { context, core, nats } = yield* emptyServer
  const { log } = yield* logIn(context, yield* temporaryFolder)
  yield* fill(log)
  return { core, kiln: kilnAt(context), itself: processAt(nats), whole: yield* everything(core) }
})

describe("kiln events export and import", () => {
  it.live("given a folder, then an empty Kiln that is filled from it has the same log, message for message; it asks, both are on record, and no other log is filled", () =>
    Effect.gen(function*() {
      const { itself, kiln, whole } = yield* given
      const place = join(yield* temporaryFolder, "copy")
      const exported = yield* itself("events", "export", "--to", place, "--json")
      assert.deepInclude(JSON.parse(exported.out), { place, entries: 121 })
      assert.deepStrictEqual(yield* operationsIn(kiln), [["OperationBegun", "log-export", place, "operator"], ["OperationSucceeded", undefined, undefined, "operator"]])
      const checked = yield* kiln("events", "import", "--from", place, "--check")
      assert.deepStrictEqual([checked.code, checked.out.endsWith("all of it is there, and as it was written\n")], [0, true])

      const empty = yield* emptyServer
      const there = kilnAt(empty.context)
      const unasked = yield* there("events", "import", "--from", place)
      assert.deepStrictEqual([unasked.code, unasked.err], [2, `This fills the log from ${place}: say --yes if that is meant\n`])
      const imported = yield* processAt(empty.nats)("events", "import", "--from", place, "--yes")
      assert.deepStrictEqual([imported.code, imported.out.endsWith("are in the log, each where it was\n")], [0, true], imported.err)
      assert.deepStrictEqual(yield* everything(empty.core), whole)
      // That of the export came along.
      assert.deepStrictEqual((yield* operationsIn(there)).map(([tag, operation]) => [tag, operation]),
        [["OperationBegun", "log-export"], ["OperationBegun", "log-import"], ["OperationSucceeded", undefined]])
      const again = yield* there("events", "import", "--from", place, "--yes")
      assert.deepStrictEqual([again.code, /this export has been imported already/.test(again.err)], [1, true])
      const full = yield* kiln("events", "import", "--from", place, "--yes")
      assert.deepStrictEqual([full.code, /the log is not empty/.test(full.err)], [1, true])
    }).pipe(Effect.scoped))

  it.live("given a bucket and an import that is killed in the midst, when it is started again, then it goes on, and all is there once", () =>
    Effect.gen(function*() {
      const { itself, whole } = yield* given
      const s3 = yield* s3StandIn()
      s3.store.make("copies", "eu-north-1")
      const place = `s3://copies/kiln?endpoint=${encodeURIComponent(s3.endpoint)}&region=eu-north-1`
      assert.strictEqual((yield* itself("events", "export", "--to", place)).code, 0)

      const empty = yield* emptyServer
      const reached = yield* Deferred.make<void>()
      const seen = new Map<string, number>()
      // All is read once before anything is stored; of what is read to be stored the second part never comes.
      s3.fault = ({ operation, path }) => {
        if (operation !== "GetObject" || !path.includes("/segments/")) return undefined
        seen.set(path, (seen.get(path) ?? 0) + 1)
        const isSecond = seen.get(path) === 2 && [...seen.values()].filter((times) => times === 2).length === 2
        return isSecond ? { hang: () => Deferred.doneUnsafe(reached, Effect.void) } : undefined
      }
      const env = { ...process.env, KILN_HOME: "/nonexistent", KILN_NATS_CORE_URL: empty.nats, ...keys }
      const child = spawn(process.execPath, [join(import.meta.dirname, "../../../apps/operator/main.ts"), "events", "import", "--from", place, "--yes"], { env, stdio: "ignore" })
      const gone = new Promise((resolve) => child.once("exit", resolve))
      yield* Deferred.await(reached)
      child.kill("SIGKILL")
      yield* Effect.promise(() => gone)
      const half = yield* everything(empty.core)
      const countIn = (log: Readonly<Record<string, ReadonlyArray<unknown>>>) => Object.values(log).reduce((sum, { length }) => sum + length, 0)
      assert.isAbove(countIn(half), 0)
      assert.isBelow(countIn(half), countIn(whole))

      s3.fault = () => undefined
      // The killed one holds the place of the scheduler until that runs out.
      const imported = yield* processAt(empty.nats)("events", "import", "--from", place, "--yes")
      assert.strictEqual(imported.code, 0, imported.err)
      assert.deepStrictEqual(yield* everything(empty.core), whole)
    }).pipe(Effect.scoped))

  it.live("given a segment with other bytes, or none, then it is refused by its name, and nothing is stored", () =>
    Effect.gen(function*() {
      const { kiln } = yield* given
      const place = join(yield* temporaryFolder, "copy")
      yield* kiln("events", "export", "--to", place)
      const folder = join(place, "segments")
      const [segment] = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ndjson.zst")).toSorted()
      writeFileSync(join(folder, segment!), "something else")
      const empty = yield* emptyServer
      const there = kilnAt(empty.context)
      for (const refused of [yield* there("events", "import", "--from", place, "--yes"), yield* there("events", "import", "--from", place, "--check")]) {
        assert.strictEqual(refused.code, 1)
        assert.include(refused.err, `segments/${segment} in ${place} is damaged`)
      }
      assert.deepStrictEqual(yield* everything(empty.core), {})
    }).pipe(Effect.scoped))
})
