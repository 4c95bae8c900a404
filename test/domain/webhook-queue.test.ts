import { describe, expect, it } from "vitest"
import { type Waiting, WebhookQueue } from "../../domain/webhook-queue.ts"

const waiting = (id: number, lane: string, urgent = false): Waiting => ({ id, lane, urgent, attempts: 0, notBefore: 0 })
const queueOf = (...all: ReadonlyArray<Waiting>) => {
  const queue = new WebhookQueue<Waiting>()
  all.forEach((each) => queue.add(each))
  return queue
}
const all = (queue: WebhookQueue<Waiting>, now = 0) => {
  const found: Array<number> = []
  for (let next = queue.next(now); next !== undefined; next = queue.next(now)) found.push(next.id)
  return found
}
const rest = () => 1000
const fail = (queue: WebhookQueue<Waiting>, each: Waiting, now = 0, notBefore = now + 100) =>
  queue.failed(each, { ...each, urgent: false, attempts: each.attempts + 1, notBefore }, now, rest)

describe("what waits for a webhook", () => {
  it("goes one by one within a lane, side by side in several, four at once at most", () => {
    const queue = queueOf(waiting(1, "a"), waiting(2, "a"), waiting(3, "b"), waiting(4, "c"), waiting(5, "d"), waiting(6, "e"))
    expect(all(queue)).toEqual([1, 3, 4, 5])
    queue.arrived(waiting(1, "a"))
    expect(queue.size).toBe(5)
  })
  it("is taken in once, whoever brings it again", () => {
    const queue = queueOf(waiting(1, "a"), waiting(1, "a"))
    expect(queue.size).toBe(1)
  })
  it("keeps its lane waiting behind one that failed, and no other lane", () => {
    const [first, second, other] = [waiting(1, "a"), waiting(2, "a"), waiting(3, "b")]
    const queue = queueOf(first, second, other)
    expect(all(queue)).toEqual([1, 3])
    fail(queue, first)
    queue.arrived(other)
    expect([all(queue, 50), queue.wakeAt()]).toEqual([[], 100])
    expect(all(queue, 100)).toEqual([1])
  })
  it("is tried one at a time, in turns and with pauses, after three failures in a row", () => {
    const each = ["a", "b", "c", "d"].map((lane, at) => waiting(at + 1, lane))
    const queue = queueOf(...each)
    for (const one of [queue.next(0)!, queue.next(0)!, queue.next(0)!]) fail(queue, one)
    expect([queue.isDown, queue.wakeAt()]).toEqual([true, 1000])
    expect(all(queue, 999)).toEqual([])
    expect(all(queue, 1000)).toEqual([4])
    fail(queue, each[3]!, 1000)
    expect(all(queue, 2000)).toEqual([1])
  })
  it("goes on at once, all of it, when something arrives again", () => {
    const each = ["a", "b", "c"].map((lane, at) => waiting(at + 1, lane))
    const queue = queueOf(...each)
    each.forEach(() => fail(queue, queue.next(0)!, 0, 1e9))
    const probe = queue.next(1000)!
    queue.arrived(probe)
    expect(all(queue, 1000)).toHaveLength(2)
  })
  it("lets by what is urgent even where nothing arrives, and takes it as the rest once it has failed", () => {
    const each = ["a", "b", "c"].map((lane, at) => waiting(at + 1, lane))
    const queue = queueOf(...each)
    each.forEach(() => fail(queue, queue.next(0)!))
    const urgent = waiting(9, "again.9", true)
    queue.add(urgent)
    expect(all(queue, 0)).toEqual([9])
    fail(queue, urgent)
    expect([all(queue, 10), queue.size]).toEqual([[], 4])
  })
  it("gives up what is asked to be given up, but what is on its way", () => {
    const queue = queueOf(waiting(1, "a"), waiting(2, "a"), waiting(3, "b"))
    expect(queue.next(0)?.id).toBe(1)
    expect(queue.discard(() => true).map(({ id }) => id)).toEqual([2, 3])
    queue.givenUp(waiting(1, "a"))
    expect([queue.size, all(queue)]).toEqual([0, []])
  })
})
