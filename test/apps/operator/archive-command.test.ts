/** `kiln archive`, as an operator runs it, over a log in periods of a second. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { v7 } from "uuid"
import { keepPeriods } from "../../../apps/scheduler/keep-periods.ts"
import { ComposeId, TenantId } from "../../../domain/ids.ts"
import { periodAt } from "../../../domain/periods.ts"
import type { EventLog } from "../../../domain/ports/event-log.ts"
import { Parked } from "../../../domain/ports/parked.ts"
import { composeRef } from "../../../domain/recorded.ts"
import { decisionOf, finished, queued, jobs, requested } from "../../support/composes.ts"
import { emptyServer, logIn, messagesIn, operatorPorts } from "../../support/kiln-log.ts"
import { temporaryFolder } from "../../support/servers.ts"
import { until } from "../../support/small-stack.ts"
import { kiln as run, kilnProcess } from "./kiln-command.ts"

process.env["KILN_NATS_CORE_URL"] = "nats://of.the.test"
const second = 1000
const tenantId = TenantId.make("acme")
const newCompose = () => composeRef(tenantId, ComposeId.make(v7()))
const nextPeriod = Effect.suspend(() => Effect.sleep(periodAt(second, Date.now()).to - Date.now() + 5))
const done = finished("succeeded")

const live = Effect.fnUntraced(function*(log: EventLog["Service"], ref = newCompose()) {
  const { stream } = yield* log.append(ref, 0, decisionOf(v7(), requested))
  yield* log.append(ref, 1, decisionOf(v7(), queued(jobs.build), done))
  return { ref, stream }
})

const here = Effect.gen(function*() {
  const { context, core, nats } = yield* emptyServer
  const archive = yield* temporaryFolder
  const { log } = yield* logIn(context, archive)
  const kiln = (...args: ReadonlyArray<string>) => Effect.promise(() => run(args, { backends: operatorPorts(context, archive) as never, columns: 200 }))
  const operations = Effect.map(kiln("events", "tail", "--once", "--json", "--from", "1", "--aggregate", "operation"), ({ out }) =>
    out.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line).events[0] as { readonly _tag: string; readonly operation?: string; readonly on?: string; readonly result?: string }))
  return { archive, context, core, kiln, log, nats, operations }
})

describe("kiln archive", () => {
  it.live("given periods that are over, then it asks, and takes those off the server whose composes have all ended, which is on record", () =>
    Effect.gen(function*() {
      const { archive, context, core, kiln, log, nats, operations } = yield* here
      const { ref, stream } = yield* live(log)
      yield* nextPeriod
      const open = newCompose()
      const other = yield* log.append(open, 0, decisionOf(v7(), requested))
      yield* nextPeriod
      const before = yield* log.read(ref)

      const unasked = yield* kiln("archive")
      assert.strictEqual(unasked.code, 2)
      assert.match(unasked.err, new RegExp(`takes .*${stream}, .*${other.stream}.* off the server.*--yes`))
      assert.strictEqual((yield* kiln("archive", "EVENTS-1999-01", "--yes")).code, 4)
      assert.strictEqual((yield* kiln("archive", "EVENTS", "--yes")).code, 2)

      const whole = yield* Effect.promise(() => kilnProcess(["archive", "--yes"], { KILN_NATS_CORE_URL: nats, KILN_ARCHIVE: archive }))
      assert.deepStrictEqual([whole.code, whole.err], [1, ""])
      assert.include(whole.out, `${stream}: 2 entries are in the archive\n`)
      assert.include(whole.out, `${other.stream}: stays, 1 of its composes have not ended\n`)
      assert.deepStrictEqual(yield* Effect.promise(() => core.jsm.streams.info(stream).then(() => "there", () => "gone")), "gone")
      assert.deepStrictEqual((yield* log.read(ref)).recorded, before.recorded)
      assert.match((yield* kiln("streams")).out, new RegExp(`^${stream} .* dropped`, "m"))

      yield* log.append(open, 1, decisionOf(v7(), done))
      assert.strictEqual((yield* kiln("archive", other.stream, "--yes")).code, 0)
      assert.strictEqual((yield* kiln("archive", other.stream, "--yes")).code, 2)
      const named = (yield* operations).filter(({ on }, at, all) => [stream, other.stream].includes(on ?? all[at - 1]!.on!))
      assert.deepStrictEqual(named, [        { _tag: "OperationBegun", operation: "log-archive", on: stream }, { _tag: "OperationSucceeded", result: "2 entries" },
        { _tag: "OperationBegun", operation: "log-archive", on: other.stream }, { _tag: "OperationSucceeded", result: "2 entries" }
      ])
      // As whoever is started later finds it.
      const later = yield* logIn(context, archive)
      assert.deepStrictEqual((yield* later.log.read(ref)).recorded, before.recorded)
    }).pipe(Effect.scoped))

  it.live("given entries that nobody can read, then they are named and the period stays, until it is said that they go along, bit for bit", () =>
    Effect.gen(function*() {
      const { archive, context, core, kiln, log, operations } = yield* here
      const { ref, stream } = yield* live(log)
      const ends = newCompose()
      yield* log.append(ends, 0, decisionOf(v7(), requested))
      const prefix = `events${stream.slice("EVENTS".length)}.${tenantId}.compose`
      const contents = [Buffer.from("{\"schema\": 99}"), Buffer.from([0xff, 0x00, 0xc3, 0x28]), Buffer.from("\ufeffbe it so")]
      const subjects = [`${prefix}.${ends.id}.2`, `${prefix}.${v7()}.1`, `${prefix}.${v7()}.1`]
      for (const [at, data] of contents.entries()) yield* Effect.promise(() => core.js.publish(subjects[at]!, data, { msgID: `odd-${at}` }))
      const stored = yield* messagesIn(core, stream)
      yield* nextPeriod

      // The scheduler leaves it where it is, and says why in the list of what is parked.
      yield* Effect.scoped(Effect.gen(function*() {
        yield* Effect.forkScoped(keepPeriods({ everyMs: 50, graceMs: 0, isHeld: () => true }))
        const parked = Effect.map(Effect.flatMap(Parked, ({ list }) => list), (items) => items.map(({ by, where }) => `${by}: ${where}`).toSorted())
        const expected = subjects.map((subject, at) => `archive of ${stream}: ${stream} ${at + 4} ${subject}`)
        assert.deepStrictEqual(yield* until(parked, ({ length }) => length === 3), expected)
      })).pipe(Effect.provide(operatorPorts(context, archive)))

      const stays = yield* kiln("archive", stream, "--yes")
      assert.strictEqual(stays.code, 1)
      assert.match(stays.out, new RegExp(`^${stream}: stays, 3 of its entries cannot be read; --with-unreadable`))
      assert.include(stays.out, `  ${stream}:4 ${subjects[0]}: schema version 99, this program knows 1 to`)
      assert.include(stays.out, `  ${stream}:5 ${subjects[1]}: not a JSON object`)
      assert.strictEqual((yield* log.read(ref)).revision, 2)

      const goes = yield* kiln("archive", stream, "--yes", "--with-unreadable", "--json")
      assert.strictEqual(goes.code, 0)
      assert.deepInclude(JSON.parse(goes.out)[0], { stream, entries: 6, archived: true, open: 0 })
      assert.deepStrictEqual(JSON.parse(goes.out)[0].unreadable.map(({ place }: { place: string }) => place), [4, 5, 6].map((at) => `${stream}:${at}`))
      assert.deepStrictEqual((yield* operations)[0], { _tag: "OperationBegun", operation: "log-archive", on: `${stream}, with 3 that nobody can read: 4, 5, 6` })
      assert.strictEqual((yield* log.read(ref)).revision, 2)
      assert.match((yield* Effect.flip(log.read(ends))).message, /cannot be read: schema version 99/)

      // What the archive has of them is what was on the server: a log that is filled from it has it, too.
      const other = yield* emptyServer
      const copy = yield* temporaryFolder
      assert.strictEqual((yield* kiln("events", "export", "--to", copy)).code, 0)
      const imported = yield* Effect.promise(() => run(["events", "import", "--from", copy, "--yes"], { backends: operatorPorts(other.context) as never }))
      assert.strictEqual(imported.code, 0, imported.err)
      assert.deepStrictEqual(yield* messagesIn(other.core, stream), stored)
    }).pipe(Effect.scoped))
})
