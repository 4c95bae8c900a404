/** The whole stack as processes of its own, killed without a word while it works: nothing is lost, doubled or stuck. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { startStack } from "../../apps/standalone/stack.ts"
import { ComposeId, Millis } from "../../domain/ids.ts"
import { projections } from "../../projections/all.ts"
import { project } from "../../projections/projection.ts"
import { chaos, lostAfter } from "../chaos/chaos.ts"
import { Book } from "../chaos/book.ts"
import { type Promised, sleep, startClients } from "../chaos/clients.ts"
import { asksOf, killsOf } from "../chaos/plan.ts"
import { isOver } from "../chaos/rest.ts"
import { type Evidence, isWell, type Verdict, verdictOf } from "../chaos/verdict.ts"
import { composeId, failed, finished, jobs, queued, recordedOf, started, succeeded, tenantId, wholeLife } from "../support/composes.ts"
import { temporaryFolder } from "../support/servers.ts"

describe("a stack under fire", () => {
  it.live("given tenants at work, when processes are killed -9 at random, then all that was promised ends as it should, once, and the read models say so", () =>
    Effect.gen(function*() {
      const home = yield* temporaryFolder
      const env = { KILN_TEST_DISTRIBUTION: "1", KILN_LOST_AFTER: lostAfter, KILN_SLOTS: JSON.stringify({ resolve: 1, build: 4, upload: 4 }) }
      const stack = yield* startStack({ home, durable: false, workers: 2, env })
      const { composes, kills, refused, verdict } = yield* Effect.promise(() =>
        chaos(stack, { seed: 3, kills: 12, paceMs: 400, tenants: ["acme", "birch"], restMs: 90_000 }))
      assert.isAbove(composes, 10)
      assert.strictEqual([...kills.values()].reduce((sum, count) => sum + count, 0), 12)
      assert.deepStrictEqual({ ...verdict, refused }, { lost: [], doubled: [], stuck: [], wrong: [], rows: [], refused: [] })
    }).pipe(Effect.scoped))
})

describe("what a run is judged by", () => {
  const ask = { ...asksOf(1, tenantId).next().value, ends: "succeeded" } as const
  const promised: Promised = { ask, askedAt: 0, ids: [composeId], cancel: "none" }
  const evidenceOf = (log: Evidence["log"], change: Partial<Evidence> = {}): Evidence => {
    const recorded = log.filter((entry) => entry._tag === "Recorded" && entry.aggregate === "compose")
    const rows = new Map([...projections.values()].map((projection) => [projection.name, [...project(projection, recorded).values()]]))
    return { promised: [promised], log, rows, left: [], ...change }
  }
  const life = recordedOf(wholeLife)
  const faultsOf = (evidence: Evidence) =>
    Object.entries(verdictOf(evidence)).filter(([, faults]) => faults.length > 0).map(([kind]) => kind)
  const other = ComposeId.make("01890000-0000-7000-8000-000000000002")

  it("finds nothing in a life without faults", () => assert.isTrue(isWell(verdictOf(evidenceOf(life)))))

  const planted: Record<string, readonly [Evidence, ReadonlyArray<keyof Verdict>]> = {
    "a promise that the log does not hold": [evidenceOf(life, { promised: [promised, { ...promised, ids: [other] }] }), ["lost"]],
    "a decision that is missing": [evidenceOf(life.filter(({ revision }) => revision !== 5)), ["lost", "wrong"]],
    "one key with two composes": [
      evidenceOf([...life, ...life.map((entry) => ({ ...entry, id: other }))], { promised: [{ ...promised, ids: [composeId, other] }] }), ["doubled"]
    ],
    "a compose that nobody was told of": [evidenceOf([...life, ...life.map((entry) => ({ ...entry, id: other, tenantId: "birch" as typeof tenantId }))]), ["doubled"]],
    "a revision that is there twice": [evidenceOf([...life, { ...life[3]!, messageId: "other" }]), ["doubled", "wrong"]],
    "an attempt that was started twice": [
      evidenceOf(recordedOf([...wholeLife.slice(0, 6), started(jobs.build), ...wholeLife.slice(6)])), ["doubled", "wrong"]
    ],
    "a job that succeeded twice": [
      evidenceOf(recordedOf([...wholeLife.slice(0, 7), succeeded(jobs.build), ...wholeLife.slice(7)])), ["doubled", "wrong"]
    ],
    "a word after the end": [evidenceOf(recordedOf([...wholeLife, finished("succeeded")])), ["doubled"]],
    "a compose without an end": [evidenceOf(recordedOf(wholeLife.slice(0, 9))), ["stuck"]],
    "a message on a queue": [evidenceOf(life, { left: ["1 messages are left on JOBS"] }), ["stuck"]],
    "another end than was asked for": [
      evidenceOf(recordedOf([...wholeLife.slice(0, 6), failed(jobs.build, 1, true), finished("failed")])), ["wrong"]
    ],
    "an entry that cannot be read": [
      evidenceOf([...life, { _tag: "Unreadable", position: { stream: "EVENTS", sequence: 99 }, subject: "events.x", reason: "odd" }]), ["wrong"]
    ],
    "a row that is missing": [evidenceOf(life, { rows: new Map(evidenceOf(life).rows).set("composes", []) }), ["rows"]],
    "a row that says something else": [
      evidenceOf(life, { rows: new Map(evidenceOf(life).rows).set("composes", [{ ...evidenceOf(life).rows.get("composes")![0]!, status: "running" }]) }), ["rows"]
    ]
  }
  for (const [name, [evidence, kinds]] of Object.entries(planted)) {
    it(`finds ${name}`, () => assert.deepStrictEqual(faultsOf(evidence), [...kinds]))
  }

  it("tells of a compose without an end how each of its jobs stands, and what was last heard of it", () => {
    const [stuck] = verdictOf(evidenceOf(recordedOf(wholeLife.slice(0, 9)))).stuck
    assert.match(stuck!, /^acme\/[0-9a-f-]{36} is open: 0-upload-0 running attempt 1 since \d\d:\d\d:\d\d\.\d{3} by w1; last: .*; \d\d:\d\d:\d\d\.\d{3} JobStarted 0-upload-0 1 by w1$/u)
  })

  it("plans the same for the same seed", () => {
    const plan = (seed: number) => {
      const asks = asksOf(seed, tenantId)
      return [killsOf(seed, ["gateway", "worker"], 20, 1000), Array.from({ length: 20 }, () => asks.next().value)]
    }
    assert.deepStrictEqual(plan(5), plan(5))
    assert.notDeepEqual(plan(5), plan(6))
  })
})

describe("waiting for rest", () => {
  const options = { quietMs: 60_000, atMostMs: 600_000 }
  const over = (moving: Partial<Parameters<typeof isOver>[0]>, now: number) => isOver({ movedAt: 0, notBefore: 0, ...moving }, 0, now, options)
  it("goes on while the log grows, and ends when nothing has moved for long", () => {
    assert.strictEqual(over({}, 60_000), undefined)
    assert.strictEqual(over({}, 60_001), "nothing has moved for 60 s")
    assert.strictEqual(over({ movedAt: 300_000 }, 360_000), undefined)
    assert.strictEqual(over({ movedAt: 300_000 }, 360_001), "nothing has moved for 60 s")
  })
  it("waits for a job whose time has not come", () => assert.strictEqual(over({ notBefore: 400_000 }, 460_000), undefined))
  it("ends at last, whatever moves", () => assert.strictEqual(over({ movedAt: 600_001 }, 600_001), "not at rest after 600 s"))
})

describe("the book of what is open", () => {
  it("counts composes from their request to their end, retries too, and knows when the log last moved and how long a job waits", () => {
    const book = new Book()
    const life = recordedOf(wholeLife)
    for (const entry of life.slice(0, -1)) book.record(entry, 7)
    assert.deepStrictEqual([book.open, book.ended, book.peak, book.movedAt, book.notBefore], [1, 0, 1, 7, 0])
    book.record(life.at(-1)!, 8)
    assert.deepStrictEqual([book.open, book.ended, book.movedAt, book.positionOf("EVENTS")], [0, 1, 8, life.length])
    book.record({ ...life[0]!, events: [{ _tag: "ComposeReopened", composeId }, queued(jobs.upload, 2, Millis.make(99))] }, 9)
    book.record({ _tag: "Unreadable", position: { stream: "EVENTS", sequence: 99 }, subject: "events.x", reason: "odd" }, 10)
    assert.deepStrictEqual([book.open, book.peak, book.notBefore, book.movedAt, book.positionOf("EVENTS")], [1, 1, 99, 9, 99])
  })
})

describe("tenants who find too much open", () => {
  it("wait for ends, and ask all the same once in a while", async () => {
    const asked = new Set<unknown>()
    let looked = 0
    const server = createServer((request, response) => {
      if (request.url!.endsWith("/composes")) asked.add(request.headers["idempotency-key"])
      request.resume()
      response.writeHead(request.method === "POST" ? 202 : 200, { "content-type": "application/json" }).end(JSON.stringify({ id: composeId, items: [] }))
    }).listen(0, "127.0.0.1")
    await new Promise((resolve) => server.once("listening", resolve))
    const target = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token: async () => "", isCrowded: () => ++looked > 3 }
    const clients = await startClients(target, 5, ["acme"])
    while (looked < 10 || asked.size < 4) await sleep(10)
    const crowded = asked.size
    while (asked.size === crowded) await sleep(10)
    await clients.stop()
    server.closeAllConnections()
    server.close()
    assert.deepStrictEqual([crowded, asked.size], [4, 5])
  })
})
