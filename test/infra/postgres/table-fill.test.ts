import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { LogEntry, Recorded } from "../../../domain/recorded.ts"
import { ProjectionStore } from "../../../projections/projection-store.ts"
import { projections } from "../../../projections/all.ts"
import type { Projection } from "../../../projections/projection.ts"
import { Sql } from "../../../infra/postgres/sql.ts"
import { finished, jobs, queued, started } from "../../support/composes.ts"
import { acme, asked, birch, composeAt, decided, ReadModels } from "./read-models.ts"

const composes = projections.get("composes")!
const stream = "EVENTS"
const endOf = (entries: ReadonlyArray<LogEntry>) => entries.at(-1)!.position.sequence
const of = <Event extends object>(n: number, event: Event) => ({ ...event, composeId: composeAt(n) })
const later = (n: number, revision: number) => decided(acme, composeAt(n), revision, of(n, queued(jobs.build, revision)), of(n, started(jobs.build, revision)))
/** With more in it than a request may have today. */
const named = (recorded: Recorded<"compose">, name: string): Recorded<"compose"> => {
  const [event] = recorded.events
  if (event._tag !== "ComposeRequested") return recorded
  return { ...recorded, events: [{ ...event, request: { ...event.request, name, labels: { [`key ${name}`]: name } } }] }
}

const rowsOf = (generation: "rebuild" | "check") => Effect.flatMap(Sql, ({ sql }) =>
  Effect.promise(() => sql.unsafe<Array<Record<string, unknown>>>(`select * from kiln.composes__${generation} order by tenant_id, compose_id`)))

const emptied = Effect.fnUntraced(function*(generation: "rebuild" | "check") {
  const store = yield* ProjectionStore
  yield* store.discard(composes, generation)
  yield* store.prepare(composes, generation)
  return store
})

/** In handfuls, written after each of these. */
const filled = Effect.fnUntraced(function*(handfuls: ReadonlyArray<ReadonlyArray<LogEntry>>, projection: Projection = composes) {
  const filling = yield* (yield* emptied("rebuild")).filling(projection, "rebuild", { stream, after: 0 })
  return yield* Effect.forEach(handfuls, (entries) => Effect.andThen(filling.take(entries), filling.write(endOf(entries))))
})

/** As one batch, the way that the live table takes it. */
const applied = Effect.fnUntraced(function*(entries: ReadonlyArray<LogEntry>, projection: Projection = composes) {
  const store = yield* emptied("check")
  return yield* store.apply(projection, "check", { stream, after: 0, upTo: endOf(entries), entries })
})

layer(ReadModels, { excludeTestServices: true })("a table that is filled from the log", (it) => {
  it.effect("given texts with everything that a line of COPY, an array, JSON or Postgres gives a meaning to, then rows are those of a batch", () =>
    Effect.gen(function*() {
      const odd = ["tab\there", "line\nbreak\r\nend", "back\\slash \\. \\N", "quote \" brace { } comma , 'single'", "\\N", "", "nul \u0000 half \ud800 pair 😀", "NULL", "{}"]
      const entries = odd.flatMap((name, at) => [named(asked(acme, at), name), later(at, 2)])
      yield* filled([entries])
      yield* applied(entries)
      const rows = yield* rowsOf("rebuild")
      assert.deepStrictEqual(rows, yield* rowsOf("check"))
      assert.deepStrictEqual(rows.slice(0, 6).map((row) => row["name"]), odd.slice(0, 6))
      assert.strictEqual(rows[6]!["name"], "nul \ufffd half \ufffd pair 😀")
    }))

  it.effect("given lives over several writes, with more taken in while one is written, then rows that were written before are changed, and read again if they are not known any more", () =>
    Effect.gen(function*() {
      const handfuls = [
        [asked(acme, 1), asked(acme, 2), asked(birch, 3)],
        [later(1, 2), asked(acme, 4)],
        [asked(acme, 5)],
        // Neither of this fill's last rows nor of its first.
        [later(2, 2), later(4, 2), decided(birch, composeAt(3), 2, of(3, finished("succeeded")))]
      ]
      const filling = yield* (yield* emptied("rebuild")).filling(composes, "rebuild", { stream, after: 0 })
      yield* Effect.forEach(handfuls, (entries, at) =>
        Effect.all([at === 0 ? Effect.void : filling.write(endOf(handfuls[at - 1]!)), filling.take(entries)], { concurrency: 2 }))
      assert.strictEqual(filling.rowsWaiting(), 3)
      yield* filling.write(endOf(handfuls[3]!))
      assert.strictEqual(filling.rowsWaiting(), 0)
      yield* applied(handfuls.flat())
      assert.deepStrictEqual(yield* rowsOf("rebuild"), yield* rowsOf("check"))
    }))

  it.effect("given one that cannot be taken in, then its aggregate stays as it was, later ones of it are passed over, also by the next fill, and all others go on", () =>
    Effect.gen(function*() {
      const faulty: Projection = {
        ...composes,
        evolve: (row, happened) => {
          if (happened.event._tag === "ComposeFinished") throw new Error("cannot take it")
          return composes.evolve(row, happened)
        }
      }
      const handfuls = [[asked(acme, 1), asked(acme, 2)], [decided(acme, composeAt(1), 2, of(1, finished("failed"))), later(2, 2)], [later(1, 3)]]
      const poisons = yield* filled(handfuls.slice(0, 2), faulty)
      assert.deepStrictEqual(poisons.map((each) => each.map(({ reason }) => reason)), [[], ["cannot take it"]])
      const again = yield* (yield* ProjectionStore).filling(faulty, "rebuild", { stream, after: endOf(handfuls[1]!) })
      yield* again.take(handfuls[2]!)
      assert.deepStrictEqual(yield* again.write(endOf(handfuls[2]!)), [])
      assert.deepStrictEqual((yield* rowsOf("rebuild")).map((row) => [row["status"], row["revision"]]), [["pending", 1], ["running", 2]])
    }))

  it.effect("given a first decision whose row is there, then it takes that row's place", () =>
    Effect.gen(function*() {
      const [first, second] = [asked(acme, 1), asked(acme, 1, { name: "again" })]
      yield* filled([[first], [asked(acme, 2)], [asked(acme, 3)], [second]])
      assert.deepStrictEqual((yield* rowsOf("rebuild")).map((row) => row["name"]), ["again", "web", "web"])
    }))

  it.effect("given a connection that is ended while rows are on their way, then neither rows nor the checkpoint are there, and another fill goes on", () =>
    Effect.gen(function*() {
      const entries = Array.from({ length: 2000 }, (_, at) => asked(acme, at))
      const store = yield* emptied("rebuild")
      const filling = yield* store.filling(composes, "rebuild", { stream, after: 0 })
      yield* filling.take(entries)
      const { sql } = yield* Sql
      // Whoever writes waits for this lock, in the midst of its COPY.
      const ended = yield* Effect.promise(() => sql.begin(async (tx) => {
        await tx`lock table kiln.composes__rebuild in share mode`
        const writing = Effect.runPromiseExit(filling.write(endOf(entries)))
        for (;;) {
          const [waiting] = await sql<Array<{ pid: number }>>`select pid from pg_stat_activity where query like 'copy %' and wait_event_type = 'Lock' and datname = current_database()`
          if (waiting !== undefined) {
            await sql`select pg_terminate_backend(${waiting.pid})`
            return writing
          }
        }
      }))
      assert.strictEqual(ended._tag, "Failure")
      assert.deepStrictEqual([(yield* rowsOf("rebuild")).length, yield* store.checkpoint(composes, "rebuild", stream)], [0, 0])
      const again = yield* store.filling(composes, "rebuild", { stream, after: 0 })
      yield* again.take(entries)
      yield* again.write(endOf(entries))
      assert.strictEqual((yield* rowsOf("rebuild")).length, 2000)
    }))

  it.effect("given somebody else who has moved the checkpoint, then nothing is written", () =>
    Effect.gen(function*() {
      const store = yield* emptied("rebuild")
      const entries = [asked(acme, 1)]
      const one = yield* store.filling(composes, "rebuild", { stream, after: 0 })
      const other = yield* store.filling(composes, "rebuild", { stream, after: 0 })
      yield* Effect.forEach([one, other], (filling) => filling.take(entries))
      yield* one.write(endOf(entries))
      assert.strictEqual((yield* Effect.flip(other.write(endOf(entries) + 1)))._tag, "CheckpointMoved")
    }))
})
