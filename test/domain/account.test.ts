import { assert, describe, it } from "@effect/vitest"
import { HashMap, Result } from "effect"
import {
  type Account, AccountDecider, type AccountEvent, admission, bytesOf, BytesFreed, ClearPolicy, type Ending, FreeBytes, freesAt, PolicyCleared, PolicySet,
  QuotaExceeded, QuotaReleased, QuotaReserved, QuotaSettled, ReserveQuota, SetPolicy, SettleQuota, usedIn
} from "../../domain/account.ts"
import { fold } from "../../domain/decider.ts"
import { ComposeId, Millis } from "../../domain/ids.ts"
import type { Policy } from "../../domain/policy.ts"
import { specify } from "../support/specify.ts"

const { given } = specify(AccountDecider)

const at = (millis: number) => Millis.make(1_790_000_000_000 + millis)
const id = (n: number) => ComposeId.make(`01890000-0000-7000-8000-${String(n).padStart(12, "0")}`)
const minute = 60_000
const twoAMinute: Policy = { composes: [{ count: 2, windowMs: minute }] }
const asked = (n: number, bytes = 0) => ({ composeId: id(n), bytes })
const reserve = (now: number, standing: Policy, ...composes: ReadonlyArray<ReturnType<typeof asked>>) =>
  ReserveQuota.make({ now: at(now), standing, composes })
const reserved = (when: number, rememberMs: number, first: ReturnType<typeof asked>, ...others: ReadonlyArray<ReturnType<typeof asked>>) =>
  QuotaReserved.make({ at: at(when), rememberMs, composes: [first, ...others] })
const ending = (n: number, sequence: number, more: Partial<Ending> = {}): Ending => ({ composeId: id(n), bytes: 0, sequence, ...more })
const settle = (...endings: ReadonlyArray<Ending>) => SettleQuota.make({ endings })
const settled = (upTo: number, ...composes: [ReturnType<typeof asked>]) => QuotaSettled.make({ composes, upTo })
const accountOf = (...events: ReadonlyArray<AccountEvent>): Account => fold(AccountDecider, events)

describe("an account", () => {
  it("reserves what its windows have room for", () =>
    given().when(reserve(0, twoAMinute, asked(1), asked(2))).then(reserved(0, minute, asked(1), asked(2))))

  it("reserves as many of a group as fit, in their order, and says of the others why", () => {
    given().when(reserve(0, twoAMinute, asked(1), asked(2), asked(3))).then(reserved(0, minute, asked(1), asked(2)))
    const { refused } = admission(reserve(0, twoAMinute, asked(1), asked(2), asked(3)), accountOf())
    assert.deepStrictEqual([...refused], [[id(3), new QuotaExceeded({ rule: "composes", limit: 2, used: 2, windowMs: minute, resetsAt: at(minute) })]])
  })

  it("refuses with the moment at which the oldest leaves the window", () =>
    given(reserved(0, minute, asked(1)), reserved(10, minute, asked(2))).when(reserve(20, twoAMinute, asked(3)))
      .thenRejected(new QuotaExceeded({ rule: "composes", limit: 2, used: 2, windowMs: minute, resetsAt: at(minute) })))

  it("keeps a place until its window's last millisecond, and has it free with the next", () => {
    const full = [reserved(0, minute, asked(1), asked(2))] as const
    given(...full).when(reserve(minute - 1, twoAMinute, asked(3)))
      .thenRejected(new QuotaExceeded({ rule: "composes", limit: 2, used: 2, windowMs: minute, resetsAt: at(minute) }))
    given(...full).when(reserve(minute, twoAMinute, asked(3))).then(reserved(minute, minute, asked(3)))
  })

  it("holds several windows at once, and says the one that takes longest", () => {
    const policy: Policy = { composes: [{ count: 2, windowMs: minute }, { count: 3, windowMs: 10 * minute }] }
    const day = 10 * minute
    const events = [reserved(0, day, asked(1), asked(2)), reserved(minute, day, asked(3))]
    given(...events).when(reserve(minute + 1, policy, asked(4)))
      .thenRejected(new QuotaExceeded({ rule: "composes", limit: 3, used: 3, windowMs: day, resetsAt: at(day) }))
    given(...events).when(reserve(day, policy, asked(4))).then(reserved(day, day, asked(4)))
  })

  it("refuses what could not be stored, and knows no time for that", () =>
    given(reserved(0, 0, asked(1, 70))).when(reserve(5, { storedBytes: 100 }, asked(2, 31)))
      .thenRejected(new QuotaExceeded({ rule: "stored_bytes", limit: 100, used: 70 })))

  it("never has room where none is allowed", () =>
    given().when(reserve(0, { composes: [{ count: 0, windowMs: minute }] }, asked(1)))
      .thenRejected(new QuotaExceeded({ rule: "composes", limit: 0, used: 0, windowMs: minute })))

  it("counts a compose once, however often it is reserved", () => {
    given(reserved(0, minute, asked(1), asked(2))).when(reserve(1, twoAMinute, asked(2), asked(1))).thenNothing()
    given().when(reserve(0, twoAMinute, asked(1), asked(1), asked(2))).then(reserved(0, minute, asked(1), asked(2)))
  })

  it("knows what an operator has set before what the file says, field by field", () => {
    const one = PolicySet.make({ policy: { composes: [{ count: 1, windowMs: minute }] } })
    given(one, reserved(0, minute, asked(1))).when(reserve(1, { ...twoAMinute, storedBytes: 10 }, asked(2, 11)))
      .thenRejected(new QuotaExceeded({ rule: "stored_bytes", limit: 10, used: 0 }))
    given(one, PolicyCleared.make({}), reserved(0, minute, asked(1))).when(reserve(1, twoAMinute, asked(2))).then(reserved(1, minute, asked(2)))
  })

  it("takes a policy set twice as one, and clears only what is set", () => {
    given(PolicySet.make({ policy: twoAMinute })).when(SetPolicy.make({ policy: twoAMinute })).thenNothing()
    given(PolicySet.make({ policy: twoAMinute })).when(SetPolicy.make({ policy: {} })).then(PolicySet.make({ policy: {} }))
    given().when(ClearPolicy.make({})).thenNothing()
    given(PolicySet.make({ policy: {} })).when(ClearPolicy.make({})).then(PolicyCleared.make({}))
  })

  it("settles the estimate to what was stored", () => {
    given(reserved(0, minute, asked(1, 100))).when(settle(ending(1, 9, { bytes: 7 }))).then(settled(9, asked(1, 7)))
    assert.strictEqual(bytesOf(accountOf(reserved(0, minute, asked(1, 100)), settled(9, asked(1, 7)))), 7)
  })

  it("gives a place back that the platform has spoilt, and keeps count of what was stored before", () => {
    const end = ending(1, 9, { release: "platform-failure", bytes: 5 })
    const released = QuotaReleased.make({ composeIds: [id(1)], reason: "platform-failure" })
    given(reserved(0, minute, asked(1, 100), asked(2, 100))).when(settle(end)).then(released, settled(9, asked(1, 5)))
    const after = accountOf(reserved(0, minute, asked(1, 100), asked(2, 100)), released, settled(9, asked(1, 5)))
    assert.deepStrictEqual([usedIn(after, twoAMinute.composes![0]!, at(1)), bytesOf(after)], [1, 105])
  })

  it("keeps the place of what failed by its own fault", () =>
    given(reserved(0, minute, asked(1))).when(settle(ending(1, 9))).then(settled(9, asked(1))))

  it("hears an end that is told again as silence", () => {
    given(reserved(0, minute, asked(1)), settled(9, asked(1, 7))).when(settle(ending(1, 9, { bytes: 7 }))).thenNothing()
    given(reserved(0, minute, asked(1)), QuotaReleased.make({ composeIds: [id(1)], reason: "never-requested" }))
      .when(settle(ending(1, 9, { release: "never-requested" }))).thenNothing()
  })

  it("adds what a compose stores that was tried again", () =>
    given(reserved(0, minute, asked(1)), settled(9, asked(1, 7))).when(settle(ending(1, 20, { bytes: 3 }))).then(settled(20, asked(1, 3))))

  it("has room again when images are gone, and never less than nothing used", () => {
    given(settled(9, asked(1, 7))).when(FreeBytes.make({ bytes: 7 })).then(BytesFreed.make({ bytes: 7 }))
    assert.strictEqual(bytesOf(accountOf(settled(9, asked(1, 7)), BytesFreed.make({ bytes: 9 }))), 0)
  })

  it("tells when the next place becomes free while there is room", () => {
    const account = accountOf(reserved(0, minute, asked(1)))
    assert.strictEqual(freesAt(account, twoAMinute.composes![0]!, 1, at(1)), at(minute))
    assert.strictEqual(freesAt(accountOf(), twoAMinute.composes![0]!, 0, at(1)), undefined)
  })

  it("remembers no further back than its longest window", () => {
    const account = accountOf(...Array.from({ length: 1000 }, (_, n) => reserved(n * minute, 10 * minute, asked(n))),
      QuotaSettled.make({ upTo: 1, composes: Array.from({ length: 1000 }, (_, n) => asked(n)) as never }))
    assert.strictEqual(account.moments.length, 10)
    assert.strictEqual(HashMap.size(account.open), 0)
  })
})

/** A small generator, so that a failing walk can be walked again. */
const numbers = (seed: number) => () => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31

describe("on any walk, an account", () => {
  const windows = [{ count: 5, windowMs: 100 }, { count: 12, windowMs: 1000 }]
  const policy: Policy = { composes: windows, storedBytes: 500 }

  for (let seed = 1; seed <= 20; seed++) {
    it(`admits never more than its windows hold, and all that they hold: walk ${seed}`, () => {
      const random = numbers(seed)
      let account = AccountDecider.initial
      let now = 0
      let next = 0
      let sequence = 0
      /** What the account should know, kept the slow way. */
      const taken = new Map<ComposeId, { readonly at: number; bytes: number; open: boolean }>()
      const stored = () => [...taken.values()].reduce((sum, { bytes }) => sum + bytes, 0)
      const gone = new Set<ComposeId>()
      for (let step = 0; step < 200; step++) {
        now += Math.floor(random() * 40)
        const open = [...taken].filter(([, each]) => each.open).map(([composeId]) => composeId)
        if (random() < 0.6 || open.length === 0) {
          const composes = Array.from({ length: 1 + Math.floor(random() * 4) }, () => asked(next++, Math.floor(random() * 30)))
          const command = reserve(now, policy, ...composes)
          const refused = admission(command, account).refused
          for (const { bytes, composeId } of composes) {
            const fits = windows.every(({ count, windowMs }) =>
              [...taken].filter(([other, each]) => !gone.has(other) && each.at > now - windowMs).length < count) && stored() + bytes <= 500
            assert.strictEqual(refused.has(composeId), !fits, `step ${step}`)
            if (fits) taken.set(composeId, { at: now, bytes, open: true })
          }
          account = fold(AccountDecider, Result.getOrElse(AccountDecider.decide(command, account), () => []), account)
          assert.deepStrictEqual(Result.getOrElse(AccountDecider.decide(reserve(now, policy, ...composes.filter(({ composeId }) => taken.has(composeId))), account), () => ["?"]), [])
        } else {
          const composeId = open[Math.floor(random() * open.length)]!
          const release = random() < 0.4
          const bytes = release ? 0 : Math.floor(random() * 20)
          const command = settle({ composeId, bytes, sequence: ++sequence, ...(release && { release: "platform-failure" as const }) })
          account = fold(AccountDecider, Result.getOrThrow(AccountDecider.decide(command, account)), account)
          assert.deepStrictEqual(Result.getOrThrow(AccountDecider.decide(command, account)), [], "settled twice")
          taken.set(composeId, { ...taken.get(composeId)!, bytes, open: false })
          if (release) gone.add(composeId)
          if (random() < 0.3 && stored() > 0) {
            account = fold(AccountDecider, [BytesFreed.make({ bytes: taken.get(composeId)!.bytes })], account)
            taken.set(composeId, { ...taken.get(composeId)!, bytes: 0 })
          }
        }
        assert.strictEqual(bytesOf(account), stored())
        for (const window of windows) {
          const used = [...taken].filter(([other, each]) => !gone.has(other) && each.at > now - window.windowMs).length
          assert.strictEqual(usedIn(account, window, at(now)), used)
          const free = freesAt(account, window, used, at(now))
          if (used >= window.count) {
            assert.isBelow(usedIn(account, window, free!), window.count)
            assert.isAtLeast(usedIn(account, window, free! - 1), window.count)
          }
        }
      }
    })
  }
})
