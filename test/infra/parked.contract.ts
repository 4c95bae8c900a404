/** What every `Parked` does. Run by each adapter's own test. */
import { assert, type Vitest } from "@effect/vitest"
import { Effect } from "effect"
import { Millis, TenantId } from "../../domain/ids.ts"
import { Parked, type ParkedItem } from "../../domain/ports/parked.ts"

const item = (by: string, place: number, more: Partial<ParkedItem> = {}): ParkedItem =>
  ({ what: "event", by, where: `EVENTS ${place} events.t1.compose.c1.${place}`, reason: "not JSON", at: Millis.make(place), ...more })

const mine = (by: string) => Effect.gen(function*() {
  const all = yield* (yield* Parked).list
  return all.filter((each) => each.by === by)
})
const withoutId = (stored: ParkedItem & { readonly id: string }) => {
  const { id, ...rest } = stored
  assert.isNotEmpty(id)
  return rest
}

export const parkedContract = (it: Vitest.MethodsNonLive<Parked>) => {
  it.effect("given what was put aside, when it is listed, then all of it is there, newest first and as it was said", () =>
    Effect.gen(function*() {
      const parked = yield* Parked
      const whole = item("one", 2, { what: "job", tenantId: TenantId.make("acme"), composeId: "c1", text: "{\"a\": \"ü\"}" })
      yield* parked.park(whole)
      yield* parked.park(item("one", 3))
      yield* parked.park(item("one", 1))
      assert.deepStrictEqual((yield* mine("one")).map(withoutId), [item("one", 3), whole, item("one", 1)])
    }))

  it.effect("given the same thing put aside twice by the same, then it is there once, as it was said last", () =>
    Effect.gen(function*() {
      const parked = yield* Parked
      yield* parked.park(item("two", 1))
      yield* parked.park(item("two", 1, { reason: "still not JSON" }))
      yield* parked.park(item("three", 1))
      assert.deepStrictEqual((yield* mine("two")).map(({ reason }) => reason), ["still not JSON"])
      assert.strictEqual((yield* mine("three")).length, 1)
    }))

  it.effect("given a thing that is dropped, then it is gone and the rest stays, and dropping it again says that it was not there", () =>
    Effect.gen(function*() {
      const parked = yield* Parked
      yield* parked.park(item("four", 1))
      yield* parked.park(item("four", 2))
      const [newest] = yield* mine("four")
      assert.isTrue(yield* parked.drop(newest!.id))
      assert.isFalse(yield* parked.drop(newest!.id))
      for (const id of ["0000000000000000", "*", ">", ""]) assert.isFalse(yield* parked.drop(id))
      assert.deepStrictEqual((yield* mine("four")).map(({ at }) => at as number), [1])
      // Ids are hexadecimal: that is what the gateway lets through.
      assert.match(newest!.id, /^[0-9a-f]{1,1000}$/)
    }))
}
