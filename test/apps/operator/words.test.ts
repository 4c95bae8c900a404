import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { durationMillis, moment, readMoment } from "../../../apps/operator/moments.ts"
import { type OutputShape, painted } from "../../../apps/operator/output.ts"
import { progressOf } from "../../../apps/operator/progress.ts"
import { table } from "../../../apps/operator/table.ts"
import { bytes, rate, span } from "../../../apps/operator/units.ts"

const plain: OutputShape = { json: false, utc: true, terminal: false, colours: false, columns: () => 40, write: () => {}, writeError: () => {} }

describe("words for people", () => {
  it("say sizes and spans short", () => {
    assert.deepStrictEqual([0, 1023, 1024, 1536, 157_286_400, 5e12].map(bytes), ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "150 MiB", "4.5 TiB"])
    assert.strictEqual(rate(2 ** 21), "2.0 MiB/s")
    assert.deepStrictEqual([0, 400, 9949, 9960, 65_000, 3_723_000].map(span), ["0.0 s", "0.4 s", "9.9 s", "10 s", "1:05", "1:02:03"])
  })

  it("show times with their zone, and in UTC on request", () => {
    const zone = process.env["TZ"]
    try {
      process.env["TZ"] = "Asia/Kolkata"
      assert.strictEqual(moment("2026-01-31T12:00:00.123Z", false), "2026-01-31 17:30:00 +05:30")
      process.env["TZ"] = "America/St_Johns"
      assert.strictEqual(moment("2026-01-31T12:00:00Z", false), "2026-01-31 08:30:00 -03:30")
      assert.strictEqual(moment("2026-01-31T12:00:00Z", true), "2026-01-31 12:00:00 Z")
    } finally {
      if (zone === undefined) delete process.env["TZ"]
      else process.env["TZ"] = zone
    }
  })

  it("read times as people write them", () => {
    const now = Date.parse("2026-01-31T12:00:00Z")
    assert.strictEqual(readMoment("2h", now), "2026-01-31T10:00:00.000Z")
    assert.strictEqual(readMoment("2026-01-30T12:00:00+02:00", now), "2026-01-30T10:00:00.000Z")
    assert.strictEqual(readMoment("2026-01-30", now), new Date(2026, 0, 30).toISOString())
    assert.strictEqual(readMoment("2026-01-30 08:15", now), new Date(2026, 0, 30, 8, 15).toISOString())
    assert.deepStrictEqual(["tomorrow", "2026-13-45", "12:00", ""].map((text) => readMoment(text, now)), Array(4).fill(undefined))
    assert.deepStrictEqual(["90s", "15m", "1h", "30d", "1y", "h"].map(durationMillis), [90_000, 900_000, 3_600_000, 2_592_000_000, undefined, undefined])
  })
})

describe("a table", () => {
  const columns = [
    { title: "ID", of: (row: { id: string; n: number; name: string }) => row.id },
    { title: "N", of: (row: { n: number }) => String(row.n), right: true },
    { title: "NAME", of: (row: { name: string }) => row.name, shrinks: true }
  ]
  const rows = [{ id: "a", n: 7, name: "a name that is much too long for a narrow terminal" }, { id: "bcd", n: 1234, name: "b" }]

  it("aligns its columns and gives a pipe all of them", () => {
    assert.deepStrictEqual(table(plain, columns, rows), [
      "ID      N  NAME", "a       7  a name that is much too long for a narrow terminal", "bcd  1234  b"
    ])
  })

  it("fits a terminal", () => {
    const lines = table({ ...plain, terminal: true }, columns, rows)
    assert.deepStrictEqual(lines[1], "a       7  a name that is much too long…")
    assert.isTrue(lines.every((line) => line.length <= 40))
  })

  it("say how far something has come, of all streams together, how fast, and when it is done", async () => {
    const lines: Array<string> = []
    const { clear, entries, show } = progressOf({ ...plain, terminal: true, writeError: (text) => void lines.push(text) }, "composes")
    Effect.runSync(show({ stream: "EVENTS-2026-01", position: 1000, head: 3000 }))
    Effect.runSync(show({ stream: "EVENTS", position: 0, head: 1000 }))
    // Drawn again no sooner.
    await new Promise((resolve) => setTimeout(resolve, 210))
    Effect.runSync(show({ stream: "EVENTS-2026-01", position: 2000, head: 3000 }))
    assert.match(lines[0]!, /^\r\u001b\[Kcomposes: \[#{8}\.{16}\] 33 % · 1,000 of 3,000 · 0 a second$/)
    assert.match(lines[1]!, /^\r\u001b\[Kcomposes: \[#{12}\.{12}\] 50 % · 2,000 of 4,000 · [\d,]+ a second · [\d.:]+( s)? left$/)
    assert.deepStrictEqual([lines.length, entries()], [2, 1000])
    Effect.runSync(clear)
    assert.strictEqual(lines.at(-1), "\r\u001b[K")
  })

  it("lets nothing through that would steer a terminal", () => {
    const [, row] = table(plain, columns, [{ id: "\u001b[2Ja", n: 1, name: "x\ry" }])
    assert.strictEqual(row, "\ufffd[2Ja  1  x\ufffdy")
    assert.strictEqual(painted(plain, "red", "x"), "x")
  })
})
