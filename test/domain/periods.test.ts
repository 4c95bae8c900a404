import { assert, describe, it } from "@effect/vitest"
import { v4, v7 } from "uuid"
import { ComposeId, TenantId } from "../../domain/ids.ts"
import { isOfPeriod, layoutFor, madeAt, makePeriodOf, periodAt, streamIn } from "../../domain/periods.ts"
import { accountRef, composeRef } from "../../domain/recorded.ts"

const at = (text: string) => Date.parse(text)
const tenantId = TenantId.make("acme")
const compose = (id: string) => composeRef(tenantId, ComposeId.make(id))

describe("a period", () => {
  it("is a calendar month in UTC, to the millisecond", () => {
    const november = { name: "2026-11", from: at("2026-11-01T00:00:00Z"), to: at("2026-12-01T00:00:00Z") }
    assert.deepStrictEqual(periodAt("month", november.from), november)
    assert.deepStrictEqual(periodAt("month", november.to - 1), november)
    assert.strictEqual(periodAt("month", november.to).name, "2026-12")
    assert.strictEqual(periodAt("month", november.from - 1).name, "2026-10")
  })

  it("or a span of time, named by its beginning in letters that a subject may have", () => {
    const first = periodAt(2000, at("2026-11-21T18:00:01.500Z"))
    assert.deepStrictEqual([first.name, first.to - first.from], ["20261121t180000", 2000])
    assert.strictEqual(periodAt(2000, first.to).name, "20261121t180002")
    assert.strictEqual(periodAt(1500, 1500).name, "19700101t000001500")
  })
})

describe("a log's layout", () => {
  it("has periods from that of today on where the log is empty", () =>
    assert.deepStrictEqual(layoutFor("month", at("2026-11-21T12:00:00Z"), true), { period: "month", from: at("2026-11-01T00:00:00Z") }))

  it("leaves what is there in place: periods begin with the next, or the one after if that is less than an hour away", () => {
    assert.strictEqual(layoutFor("month", at("2026-11-21T12:00:00Z"), false).from, at("2026-12-01T00:00:00Z"))
    assert.strictEqual(layoutFor("month", at("2026-11-30T23:30:00Z"), false).from, at("2027-01-01T00:00:00Z"))
    assert.strictEqual(layoutFor(2000, 10_000, false).from, 12_000)
    assert.strictEqual(layoutFor(2000, 10_500, false).from, 14_000)
  })
})

describe("the period of an aggregate", () => {
  const periodOf = makePeriodOf({ period: "month", from: at("2026-11-01T00:00:00Z") })
  const idOf = (time: string) => v7({ msecs: at(time) })

  it("is that of the time in its id, for composes", () => {
    assert.strictEqual(periodOf(compose(idOf("2026-11-30T23:59:59.999Z")))?.name, "2026-11")
    assert.strictEqual(periodOf(compose(idOf("2026-12-01T00:00:00Z")))?.name, "2026-12")
    assert.strictEqual(periodOf(compose(idOf("2026-11-02T00:00:00Z")))?.name, "2026-11")
  })

  it("is none for what was asked for before there were periods, and for what lives long", () => {
    assert.isUndefined(periodOf(compose(idOf("2026-10-31T23:59:59.999Z"))))
    assert.isUndefined(periodOf(accountRef(tenantId)))
  })

  it("is none for an id that tells no time, or one that nobody has made yet", () => {
    assert.isUndefined(madeAt(v4()))
    assert.isUndefined(periodOf(compose(v4())))
    assert.isUndefined(periodOf(compose("ffffffff-ffff-7fff-bfff-ffffffffffff")))
  })

  it("tells its stream from those that never end", () => {
    assert.deepStrictEqual([isOfPeriod(streamIn("EVENTS_3", { name: "2026-11" })), isOfPeriod("EVENTS_3"), isOfPeriod("EVENTS")], [true, false, false])
  })
})
