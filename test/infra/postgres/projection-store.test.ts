import { assert, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { ProjectionStore } from "../../../projections/projection-store.ts"
import type { Projection } from "../../../projections/projection.ts"
import { Sql } from "../../../infra/postgres/sql.ts"
import { jobs, lost, queued, started } from "../../support/composes.ts"
import { acme, asked, birch, composeAt, decided, named, prepareAll, ReadModels, take } from "./read-models.ts"

const composes = named("composes")
const rowsOf = (table: string) =>
  Effect.flatMap(Sql, ({ sql }) => Effect.promise(() => sql.unsafe<Array<Record<string, unknown>>>(`select * from kiln.${table} order by tenant_id, compose_id`)))

/** Dies of one kind of event, as of a fault of ours or of what a later version wrote. */
const dyingOf = (tag: string): Projection => ({
  ...composes,
  evolve: (row, happened) => {
    if (happened.event._tag === tag) throw new Error(`cannot take ${tag}`)
    return composes.evolve(row, happened)
  }
})

layer(ReadModels, { excludeTestServices: true })("the store of read models", (it) => {
  it.effect("given an event that cannot be taken in, then its aggregate stays as it was, nothing of its decision counts, and all others go on", () =>
    Effect.gen(function*() {
      yield* prepareAll
      const store = yield* ProjectionStore
      const faulty = dyingOf("JobLost")
      const entries = [
        asked(acme, 1), asked(acme, 2),
        decided(acme, composeAt(1), 2, { ...queued(jobs.resolve), composeId: composeAt(1) }, { ...started(jobs.resolve), composeId: composeAt(1) }, { ...lost(jobs.resolve, 1, true), composeId: composeAt(1) }),
        decided(acme, composeAt(2), 2, { ...queued(jobs.resolve), composeId: composeAt(2) }, { ...started(jobs.resolve), composeId: composeAt(2) })
      ]
      const poisons = yield* take(faulty, entries)
      assert.deepStrictEqual(poisons.map(({ entry, reason }) => [entry.position.sequence, reason]), [[3, "cannot take JobLost"]])
      assert.deepStrictEqual((yield* rowsOf("composes")).map((row) => row["status"]), ["pending", "running"])
      // What comes later of it waits, without another word.
      const later = [decided(acme, composeAt(1), 3, { ...started(jobs.resolve, 2), composeId: composeAt(1) })]
      assert.deepStrictEqual(yield* take(faulty, later), [])
      assert.deepStrictEqual((yield* rowsOf("composes")).map((row) => [row["status"], row["revision"]]), [["pending", 1], ["running", 2]])
      const [parked] = yield* store.parked(composes)
      assert.deepInclude(parked, { stream: "EVENTS", sequence: 3, reason: "cannot take JobLost" })
      assert.deepInclude(parked!.ref, { tenantId: acme, id: composeAt(1) })

      const history = [entries[0]!, entries[2]!, later[0]!]
      assert.deepStrictEqual(yield* store.refold(faulty, history, new Map([["EVENTS", 5]])), { _tag: "StillPoisoned", reason: "cannot take JobLost" })
      assert.deepStrictEqual(yield* store.refold(composes, history, new Map([["EVENTS", 4]])), { _tag: "Behind" })
      assert.deepStrictEqual(yield* store.refold(composes, history, new Map([["EVENTS", 5]])), { _tag: "Done" })
      assert.deepStrictEqual(yield* store.parked(composes), [])
      assert.deepStrictEqual((yield* rowsOf("composes")).map((row) => [row["status"], row["revision"]]), [["running", 3], ["running", 2]])
    }))

  it.effect("given an entry that cannot be read, then the aggregate that its address names waits, and nobody else's", () =>
    Effect.gen(function*() {
      const store = yield* ProjectionStore
      const before = yield* store.checkpoint(composes, "live", "EVENTS")
      const unreadable = (sequence: number, aggregate: "compose" | "account", id: string) =>
        ({ _tag: "Unreadable", position: { stream: "EVENTS", sequence }, subject: `events.birch.${aggregate}.${id}.1`, ref: { tenantId: birch, aggregate, id }, reason: "odd" }) as const
      const poisons = yield* take(composes, [
        unreadable(before + 1, "compose", composeAt(7)), unreadable(before + 2, "account", "main"), unreadable(before + 3, "compose", composeAt(7))
      ])
      assert.deepStrictEqual(poisons.map(({ entry }) => entry.position.sequence), [before + 1])
      assert.deepStrictEqual((yield* store.parked(composes)).map(({ ref }) => ref.id), [composeAt(7)])
    }))

  it.effect("given a table beside the live one, then what differs between them is found by its key, and one tenant's rows can take the live ones' place", () =>
    Effect.gen(function*() {
      const store = yield* ProjectionStore
      const entries = [asked(acme, 11), asked(birch, 12), asked(birch, 13)]
      const first = yield* store.checkpoint(composes, "live", "EVENTS")
      const upTo = first + 10
      yield* store.discard(composes, "rebuild")
      yield* store.apply(composes, "live", { stream: "EVENTS", after: first, upTo, entries })
      for (const generation of ["check", "rebuild"] as const) {
        yield* store.prepare(composes, generation)
        yield* store.apply(composes, generation, { stream: "EVENTS", after: 0, upTo, entries })
      }
      const { sql } = yield* Sql
      yield* Effect.promise(() => sql`delete from kiln.composes where compose_id in ${sql([composeAt(1), composeAt(2)])}`)
      assert.deepStrictEqual(yield* store.differences(composes, "check"), { count: 0, keys: [] })
      yield* Effect.promise(() => sql`update kiln.composes set labels = '{"x":"y"}' where compose_id in ${sql([composeAt(11), composeAt(12)])}`)
      yield* Effect.promise(() => sql`delete from kiln.composes where compose_id = ${composeAt(13)}`)
      assert.deepStrictEqual(yield* store.differences(composes, "check"), {
        count: 3, keys: [`acme ${composeAt(11)}`, `birch ${composeAt(12)}`, `birch ${composeAt(13)}`]
      })
      yield* store.replaceTenant(composes, birch)
      assert.deepStrictEqual((yield* store.differences(composes, "check")).keys, [`acme ${composeAt(11)}`])
      yield* store.discard(composes, "check")
    }))

  it.effect("given somebody who needs the table still, then what would move it on waits until that is over", () =>
    Effect.gen(function*() {
      const store = yield* ProjectionStore
      const at = yield* store.checkpoint(composes, "live", "EVENTS")
      const seen: Array<string> = []
      const mover = yield* store.whileStill(composes, (positions) =>
        Effect.gen(function*() {
          assert.strictEqual(positions.get("EVENTS"), at)
          const moving = yield* Effect.forkDetach(store.apply(composes, "live", { stream: "EVENTS", after: at, upTo: at + 1, entries: [asked(acme, 21)] }).pipe(
            Effect.tap(Effect.sync(() => seen.push("moved")))))
          yield* Effect.sleep("100 millis")
          assert.strictEqual(yield* store.checkpoint(composes, "live", "EVENTS"), at)
          seen.push("still")
          return moving
        }))
      yield* Fiber.join(mover)
      assert.deepStrictEqual(seen, ["still", "moved"])
    }))

  it.effect("given entries for several read models at once, then each takes those after its own checkpoint, and one that somebody holds is left as it was", () =>
    Effect.gen(function*() {
      const store = yield* ProjectionStore
      const stream = "TOGETHER"
      const at = (sequence: number, entry: ReturnType<typeof asked>) => ({ ...entry, position: { stream, sequence } })
      const entries = [at(1, asked(acme, 31)), at(2, asked(acme, 32)), at(3, asked(acme, 33))]
      const [images, jobAttempts] = [named("images"), named("jobs")]
      yield* store.apply(composes, "live", { stream, after: 0, upTo: 2, entries: entries.slice(0, 2) })
      yield* store.apply(jobAttempts, "live", { stream, after: 0, upTo: 1, entries: [] })
      const shares = [{ projection: composes, after: 2 }, { projection: images, after: 0 }, { projection: jobAttempts, after: 1 }]
      const taken = yield* store.whileStill(jobAttempts, () => store.applyTogether(shares, { stream, upTo: 3, entries }))
      assert.deepStrictEqual(taken.left, [jobAttempts])
      assert.deepStrictEqual([...taken.poisons.keys()], [composes, images])
      const positions = yield* Effect.forEach([composes, images, jobAttempts], (projection) => store.checkpoint(projection, "live", stream))
      assert.deepStrictEqual(positions, [3, 3, 1])
      assert.includeMembers((yield* rowsOf("composes")).map((row) => row["compose_id"]), [31, 32, 33].map(composeAt))
      // Whose checkpoint is not where its share begins has been moved by somebody else.
      const again = yield* store.applyTogether([{ projection: composes, after: 2 }], { stream, upTo: 4, entries: [at(4, asked(acme, 34))] })
      assert.deepStrictEqual(again.left, [composes])
      assert.notInclude((yield* rowsOf("composes")).map((row) => row["compose_id"]), composeAt(34))
    }))

  it.effect("given batch after batch, then rows are those of one fold, though tables are held, changed by others, and entries cannot be taken in meanwhile", () =>
    Effect.gen(function*() {
      const store = yield* ProjectionStore
      const { sql } = yield* Sql
      const [stream, faulty, images] = ["BATCHES", dyingOf("JobLost"), named("images")]
      const run = (text: string) => Effect.promise(() => sql.unsafe<Array<Record<string, unknown>>>(text))
      const row = (n: number) => Effect.map(run(`select status, revision, name from kiln.composes where compose_id = '${composeAt(n)}'`), ([found]) => found)
      let position = 0
      const of = (n: number, revision: number, ...events: Parameters<typeof decided>[3][]) =>
        ({ ...decided(acme, composeAt(n), revision, ...events as [Parameters<typeof decided>[3]]), position: { stream, sequence: ++position } })
      const own = <Event extends object>(n: number, event: Event) => ({ ...event, composeId: composeAt(n) })
      const first = (n: number) => ({ ...asked(acme, n), position: { stream, sequence: ++position } })
      const next = Effect.fnUntraced(function*(...entries: ReadonlyArray<ReturnType<typeof first>>) {
        const after = entries[0]!.position.sequence - 1
        return yield* store.applyTogether([{ projection: faulty, after }, { projection: images, after }], { stream, upTo: position, entries })
      })
      yield* next(first(51), first(52))
      yield* next(of(51, 2, own(51, queued(jobs.resolve)), own(51, started(jobs.resolve))))
      assert.deepInclude(yield* row(51), { status: "running", revision: 2 })

      // Somebody else, who says so: the table is left out, and read anew by whoever comes back to it.
      yield* run(`with told as (update kiln.projections set changes = nextval('kiln.changes') where name = 'composes')
        update kiln.composes set name = 'renamed' where compose_id = '${composeAt(51)}'`)
      const third = of(51, 3, own(51, started(jobs.resolve, 2)))
      assert.deepStrictEqual((yield* next(third)).left, [faulty])
      assert.deepInclude(yield* row(51), { name: "renamed", revision: 2 })
      yield* store.apply(faulty, "live", { stream, after: position - 1, upTo: position, entries: [third] })
      assert.deepInclude(yield* row(51), { name: "renamed", revision: 3 })

      // One that dies is put aside, and stays so in the batches after it.
      const { poisons } = yield* next(of(52, 2, own(52, lost(jobs.resolve, 1, true))), of(51, 4, own(51, started(jobs.resolve, 3))))
      assert.deepStrictEqual(poisons.get(faulty)?.map(({ entry }) => entry.position.sequence), [5])
      yield* next(of(52, 3, own(52, started(jobs.resolve, 2))), of(51, 5, own(51, started(jobs.resolve, 4))))
      assert.deepStrictEqual([yield* row(51), yield* row(52)].map((each) => each?.["revision"]), [5, 1])

      // A table that is held has no part in a batch; the other does.
      const held = yield* store.whileStill(images, () => next(of(51, 6, own(51, started(jobs.resolve, 5)))))
      assert.deepStrictEqual(held.left, [images])
      assert.deepInclude(yield* row(51), { revision: 6 })
      assert.deepStrictEqual(yield* Effect.forEach([composes, images], (each) => store.checkpoint(each, "live", stream)), [position, position - 1])
    }))
})
