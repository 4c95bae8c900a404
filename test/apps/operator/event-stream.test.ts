import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Stream } from "effect"
import { Kiln, kilnAt } from "../../../apps/operator/client.ts"
import { CommandFailed } from "../../../apps/operator/command-failed.ts"
import { composeEvents } from "../../../apps/operator/event-stream.ts"
import { event, events, fakeService, json } from "./fake-service.ts"

const patience = { firstDelay: "5 millis", tries: 3, silence: "5 seconds" } as const
const line = (text: string, id?: string) => event("line", { job: "0-build", attempt: 1, at: "2026-01-31T12:00:00Z", text }, id)
const end = event("end", { status: "succeeded" })

const collected = (url: string) =>
  composeEvents("c1", patience).pipe(
    Stream.map((each) => (each.event === "line" ? each.data.text : each.event)),
    Stream.runCollect,
    Effect.provideService(Kiln, kilnAt({ url, token: "t" }))
  )

const failure = <A>(exit: Exit.Exit<A, CommandFailed>) => Exit.isFailure(exit) ? exit.cause.reasons[0] : undefined
const codeOf = <A>(exit: Exit.Exit<A, CommandFailed>) => {
  const reason = failure(exit)
  return reason?._tag === "Fail" ? reason.error.code : undefined
}

describe("the events of a compose", () => {
  it.live("go on by Last-Event-ID after a connection that was cut", Effect.fnUntraced(function*() {
    const service = yield* fakeService(
      events(line("one", "1.1") + line("two", "1.2"), true),
      events(line("three", "1.3")),
      events(end)
    )
    assert.deepStrictEqual(yield* collected(service.url), ["one", "two", "three", "end"])
    assert.deepStrictEqual(service.requests.map(({ headers }) => headers["last-event-id"]), [undefined, "1.2", "1.3"])
    assert.deepStrictEqual(service.requests.map(({ headers }) => headers.authorization), Array(3).fill("Bearer t"))
  }))

  it.live("show no line of a broken batch twice", Effect.fnUntraced(function*() {
    const batch = line("b1") + line("b2") + line("b3", "1.2")
    const service = yield* fakeService(
      events(line("a", "1.1") + line("b1") + line("b2"), true),
      events(line("b1"), true),
      events(batch + end)
    )
    assert.deepStrictEqual(yield* collected(service.url), ["a", "b1", "b2", "b3", "end"])
  }))

  it.live("go on elsewhere when they are told to, and pass over what they do not know", Effect.fnUntraced(function*() {
    const service = yield* fakeService(
      events(line("one", "1.1") + event("novelty", {}) + event("reconnect", { reason: "stopping", message: "this gateway stops", retry_ms: 900 })),
      events(end)
    )
    assert.deepStrictEqual(yield* collected(service.url), ["one", "end"])
    assert.deepStrictEqual(service.requests.map(({ headers }) => headers["last-event-id"]), [undefined, "1.1"])
  }))

  it.live("stop at the end, whatever the server does with the connection", Effect.fnUntraced(function*() {
    const service = yield* fakeService((_, response) => response.writeHead(200).write(end + line("never")))
    assert.deepStrictEqual(yield* collected(service.url), ["end"])
  }))

  it.live("survive a service that is away for a while, and pass over what it says of retrying", Effect.fnUntraced(function*() {
    const service = yield* fakeService(
      events(`retry: 5\n\n: keep-alive\n\n${line("one", "1.1")}`, true),
      json(503, {}),
      json(502, {}),
      events(end)
    )
    assert.deepStrictEqual(yield* collected(service.url), ["one", "end"])
  }))

  it.live("fail at once when the service cannot be reached to begin with", Effect.fnUntraced(function*() {
    const service = yield* fakeService(json(503, { title: "Not available at the moment" }))
    assert.strictEqual(codeOf(yield* Effect.exit(collected(service.url))), 6)
    assert.lengthOf(service.requests, 1)
  }))

  it.live("give up after some tries in a row, and at once when refused", Effect.fnUntraced(function*() {
    const gone = yield* fakeService(events(line("one", "1.1"), true), json(503, {}))
    assert.strictEqual(codeOf(yield* Effect.exit(collected(gone.url))), 6)
    assert.lengthOf(gone.requests, 1 + patience.tries)
    const refused = yield* fakeService(events(line("one", "1.1"), true), json(401, {}))
    assert.strictEqual(codeOf(yield* Effect.exit(collected(refused.url))), 5)
    assert.lengthOf(refused.requests, 2)
  }))

  it.live("take silence for a dead connection", Effect.fnUntraced(function*() {
    const service = yield* fakeService((_, response) => response.writeHead(200).write(line("one", "1.1")), events(end))
    const got = yield* composeEvents("c1", { ...patience, silence: "50 millis" }).pipe(
      Stream.runCollect, Effect.provideService(Kiln, kilnAt({ url: service.url, token: "t" }))
    )
    assert.deepStrictEqual(got.map((each) => each.event), ["line", "end"])
  }))
})
