import { assert, describe, it } from "@effect/vitest"
import { fullInMs, lease, leaseMs, type SharedBucket } from "../../domain/token-bucket.ts"

const limit = { perSecond: 10, burst: 20 }
const ask = (bucket: SharedBucket | undefined, now: number, wanted = 1, unused = 0, who = "a") => lease(bucket, limit, { who, wanted, unused, now })

describe("a shared token bucket", () => {
  it("is full at first, and leases a share of what is there", () => {
    const { bucket, tokens } = ask(undefined, 0)
    assert.deepStrictEqual([bucket.tokens, tokens, bucket.leases["a"]?.tokens], [15, 5, 4])
  })

  it("leases what is wanted while there is enough", () => assert.strictEqual(ask(undefined, 0, 17).tokens, 17))

  it("leases less, the emptier it is", () => {
    const shares = [20, 12, 8, 4, 1].map((tokens) => ask({ tokens, at: 0, leases: {} }, 0).tokens)
    assert.deepStrictEqual(shares, [5, 3, 2, 1, 1])
  })

  it("says how long until the next token when it is empty", () => {
    const { tokens, waitMs } = ask({ tokens: 0.5, at: 0, leases: {} }, 0)
    assert.deepStrictEqual([tokens, waitMs], [0, 50])
  })

  it("refills with time, and never beyond its burst", () => {
    assert.strictEqual(ask({ tokens: 0, at: 0, leases: {} }, 1000, 99).tokens, 10)
    assert.strictEqual(ask({ tokens: 0, at: 0, leases: {} }, 100_000, 99).tokens, 20)
  })

  it("does not refill what is leased, for that may yet be spent", () => {
    const bucket = { tokens: 0, at: 0, leases: { a: { tokens: 20, until: leaseMs } } }
    const later = ask(bucket, leaseMs - 1, 20, 0, "b")
    assert.strictEqual(later.tokens, 0)
    assert.isAbove(later.waitMs, 0)
  })

  it("refills what was leased for those who waited, for they have spent it", () => {
    const { bucket } = ask(undefined, 0, 20)
    assert.strictEqual(ask(bucket, 1000, 20, 0, "b").tokens, 10)
  })

  it("takes back what is unused, and takes for spent what nobody speaks of", () => {
    const bucket = { tokens: 0, at: 0, leases: { a: { tokens: 20, until: leaseMs } } }
    assert.strictEqual(ask(bucket, 100, 0, 20).tokens, 20)
    assert.strictEqual(ask(bucket, leaseMs + 100, 20, 0, "b").tokens, 1)
  })

  it("lets nobody keep more than it had leased", () => {
    const { bucket } = ask(undefined, 0, 2)
    assert.isAtMost(ask(bucket, 0, 0, 1000).tokens, 20)
  })

  it("knows when it is full", () => assert.strictEqual(fullInMs(5, limit), 1500))

  for (let seed = 1; seed <= 30; seed++) {
    it(`admits in no span of time more than burst and refill allow: walk ${seed}`, () => {
      let state = seed
      const random = () => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31
      let bucket: SharedBucket | undefined
      const held = new Map(["a", "b", "c"].map((who) => [who, { tokens: 0, until: 0 }]))
      const spent: Array<number> = []
      let now = 0
      for (let step = 0; step < 400; step++) {
        now += Math.floor(random() ** 4 * 3000)
        const who = ["a", "b", "c"][Math.floor(random() * 3)]!
        const own = held.get(who)!
        if (now >= own.until) own.tokens = 0
        if (own.tokens < 1 || random() < 0.3) {
          const wanted = Math.floor(random() * 6)
          const leased = ask(bucket, now, wanted, own.tokens, who)
          bucket = leased.bucket
          const atOnce = Math.min(wanted, leased.tokens)
          spent.push(...Array.from({ length: atOnce }, () => now))
          held.set(who, { tokens: leased.tokens - atOnce, until: leased.until })
        }
        for (const each = held.get(who)!; each.tokens >= 1 && random() < 0.8; each.tokens -= 1) spent.push(now)
      }
      assert.isAbove(spent.length, 50)
      // One bucket in one place is the measure: it would have had a token for each of them.
      let [tokens, at] = [limit.burst, 0]
      for (const moment of spent) {
        tokens = Math.min(limit.burst, tokens + (moment - at) / 1000 * limit.perSecond) - 1
        at = moment
        assert.isAtLeast(tokens, -1e-6, `at ${moment}`)
      }
    })
  }
})
