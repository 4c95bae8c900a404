/** Streams over a real log and a real feed of lines. */
import { connect, type NatsConnection } from "@nats-io/transport-node"
import { jetstream, jetstreamManager } from "@nats-io/jetstream"
import { Effect, Exit, Layer, Redacted, Schedule, Scope } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { EventLogJetStream } from "../../../../infra/jetstream/event-log.ts"
import { JobFeedJetStream } from "../../../../infra/jetstream/job-feed.ts"
import { CoreNatsLive, type NatsLogin, WorkNatsLive } from "../../../../infra/jetstream/nats.ts"
import { type NatsForTests, natsServer } from "../../../support/servers.ts"
import { api, type Gateway, openGateway } from "../harness.ts"
import { given, tokenOf } from "../scenes.ts"
import { type Event, type Reader, readerOf } from "../sse-reader.ts"

const one = { partitions: 1, replicas: 1 }
const scope = Effect.runSync(Scope.make())
let nats: NatsForTests
let gateway: Gateway
let other: Gateway
let worker: NatsConnection

const loginOf = (user: { readonly user: string; readonly password: Redacted.Redacted }): NatsLogin =>
  ({ servers: nats.url, user: user.user, password: Redacted.value(user.password) })

const openOn = () =>
  openGateway({ keepAlive: 200 }, Layer.mergeAll(
    EventLogJetStream(one).pipe(Layer.provide(CoreNatsLive(loginOf(nats.credentials.core), "gateway"))),
    JobFeedJetStream(one).pipe(Layer.provide(WorkNatsLive(loginOf(nats.credentials.api), "gateway")))
  ).pipe(Layer.orDie) as Layer.Layer<never>)

beforeAll(async () => {
  nats = await Effect.runPromise(Scope.provide(scope)(natsServer))
  const { password, user } = nats.credentials.api
  ;[gateway, other, worker] = await Promise.all([openOn(), openOn(), connect({ servers: nats.url, user, pass: Redacted.value(password), maxReconnectAttempts: -1, reconnectTimeWait: 50 })])
})
afterAll(async () => {
  await Promise.all([gateway.close(), other.close(), worker.close()])
  await Effect.runPromise(Scope.close(scope, Exit.void))
})

const patiently = <A>(run: () => Promise<A>): Promise<A> =>
  Effect.runPromise(Effect.retry(Effect.tryPromise(run), { times: 200, schedule: Schedule.spaced("50 millis") }))

/** Lines as a worker says them, each kept before the next. */
const print = (id: string, lines: ReadonlyArray<string>) =>
  patiently(() => jetstream(worker).publish(`worker.default.w1.log.acme.${id}.0-build`,
    JSON.stringify({ attempt: 1, token: tokenOf("w1"), at: Date.now(), lines }), { msgID: `${id} ${lines[0]}`, timeout: 500 }))

const follow = async (at: Gateway, path: string, last?: string) =>
  readerOf(await at.call(`${api}${path}`, last === undefined ? {} : { headers: { "last-event-id": last } }))
const textsOf = (events: ReadonlyArray<Event>) => events.flatMap(({ data, event }) => event === "line" ? [data.text as string] : [])
const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => `line ${from + n}`)
const typesOf = (events: ReadonlyArray<Event>, id: string) => events.filter(({ data }) => data.data?.compose_id === id).map(({ event }) => event)

describe("streams that are open while NATS is killed and started again", () => {
  it("miss nothing and repeat nothing, of a compose and of a tenant", async () => {
    const compose = await given(gateway)
    const [lines, events] = [await follow(gateway, `/composes/${compose.id}/events`), await follow(gateway, "/events")]
    await compose.started("0-build")
    for (const line of numbers(0, 20)) await print(compose.id, [line])
    await lines.until(({ data }) => data.text === "line 19")
    await Effect.runPromise(nats.restart)
    for (const line of numbers(20, 60)) await print(compose.id, [line])
    await patiently(() => compose.failed("0-build", "user"))
    const rest = await lines.until(() => false)
    expect(textsOf(rest)).toEqual(numbers(20, 60))
    expect(rest.at(-1)).toMatchObject({ event: "end", data: { status: "failed" } })
    expect(rest.filter(({ event }) => event === "status").map(({ data }) => data.revision)).toEqual([3])
    const told = await events.until(({ data, event }) => event === "kiln.compose.failed" && data.data.compose_id === compose.id)
    await events.close()
    expect(typesOf(told, compose.id)).toEqual(["kiln.job.started", "kiln.job.failed", "kiln.compose.failed"])
  })

  it("show lines that were printed while nobody was connected, though none comes after them", async () => {
    const compose = await given(gateway)
    const reader = await follow(gateway, `/composes/${compose.id}/events`)
    await compose.started("0-build")
    await print(compose.id, ["before"])
    await reader.until(({ data }) => data.text === "before")
    await Effect.runPromise(nats.restart)
    await print(compose.id, ["after"])
    expect(textsOf(await reader.until(({ data }) => data.text === "after"))).toEqual(["after"])
    await reader.close()
  })
})

describe("a stream of which the server has lost what it kept", () => {
  it("goes on with the lines that come, though their sequences were others' before", async () => {
    const compose = await given(gateway)
    const reader = await follow(gateway, `/composes/${compose.id}/events`)
    await compose.started("0-build")
    for (const line of numbers(0, 10)) await print(compose.id, [line])
    await reader.until(({ data }) => data.text === "line 9")
    const jsm = await jetstreamManager(worker)
    const { config } = await jsm.streams.info("LOGS")
    await jsm.streams.delete("LOGS")
    await jsm.streams.add(config)
    for (const line of numbers(10, 20)) await print(compose.id, [line])
    expect(textsOf(await reader.until(({ data }) => data.text === "line 19"))).toEqual(numbers(10, 20))
    await reader.close()
  })
})

describe("a stream that goes on at another gateway", () => {
  it("has no gap and no repetition, of a compose and of a tenant", async () => {
    const compose = await given(gateway)
    await compose.started("0-build")
    for (const line of numbers(0, 10)) await print(compose.id, [line])
    const [lines, events] = [await follow(gateway, `/composes/${compose.id}/events`), await follow(gateway, "/events?after=0")]
    const seen = [await lines.until(({ data }) => data.text === "line 4"), await events.until(({ data, event }) => event === "kiln.job.started" && data.data.compose_id === compose.id)] as const
    await Promise.all([lines.close(), events.close()])
    for (const line of numbers(10, 20)) await print(compose.id, [line])
    await compose.failed("0-build", "user")
    const rest = await (await follow(other, `/composes/${compose.id}/events`, seen[0].at(-1)!.id)).until(() => false)
    expect([...textsOf(seen[0]), ...textsOf(rest)]).toEqual(numbers(0, 20))
    const again = await follow(other, "/events", seen[1].at(-1)!.id)
    const more = await again.until(({ data, event }) => event === "kiln.compose.failed" && data.data.compose_id === compose.id)
    await again.close()
    expect(typesOf([...seen[1], ...more], compose.id)).toEqual(["kiln.compose.requested", "kiln.job.started", "kiln.job.failed", "kiln.compose.failed"])
  })
})

describe("a thousand readers of one compose", () => {
  it("read the log once: one consumer, one read of the compose, one of its lines", async () => {
    const { core, api: work } = nats.credentials
    const watching = await Promise.all([core, work].map(({ password, user }) => connect({ servers: nats.url, user, pass: Redacted.value(password) })))
    const asked: Array<string> = []
    for (const nc of watching) nc.subscribe("$JS.API.>", { callback: (_, { subject }) => void asked.push(subject) })
    await Promise.all(watching.map((nc) => nc.flush()))
    const fresh = await openOn()
    const compose = await given(fresh)
    await compose.started("0-build")
    await print(compose.id, ["first"])
    asked.splice(0)

    const readers: Array<Reader> = []
    while (readers.length < 1000) readers.push(...await Promise.all(Array.from({ length: 100 }, () => follow(fresh, `/composes/${compose.id}/events`))))
    await Promise.all(readers.map((reader) => reader.until(({ data }) => data.text === "first")))
    await Promise.all(watching.map((nc) => nc.flush()))
    const count = (beginning: string) => asked.filter((subject) => subject.startsWith(beginning)).length
    expect(count("$JS.API.CONSUMER.CREATE.EVENTS")).toBe(1)
    expect(count("$JS.API.DIRECT.GET.EVENTS")).toBeLessThanOrEqual(2)
    expect(count("$JS.API.DIRECT.GET.LOGS")).toBeLessThanOrEqual(2)
    asked.splice(0)

    for (let line = 0; line < 5; line++) await print(compose.id, [`line ${line}`])
    await Promise.all(readers.map((reader) => reader.until(({ data }) => data.text === "line 4")))
    await compose.failed("0-build", "user")
    const ends = await Promise.all(readers.map((reader) => reader.until(() => false)))
    expect(ends.every((events) => events.at(-1)!.event === "end")).toBe(true)
    await Promise.all(watching.map((nc) => nc.flush()))
    // What the decision needed, and a last look for lines.
    expect(count("$JS.API.CONSUMER.CREATE")).toBe(0)
    expect(count("$JS.API.DIRECT.GET.LOGS")).toBeLessThanOrEqual(2)
    expect(count("$JS.API.DIRECT.GET.EVENTS")).toBeLessThan(10)
    await Promise.all([fresh.close(), ...watching.map((nc) => nc.close())])
  })

  it("leave no consumer behind when their gateway has stopped", async () => {
    const { core } = nats.credentials
    const nc = await connect({ servers: nats.url, user: core.user, pass: Redacted.value(core.password) })
    const jsm = await jetstreamManager(nc)
    const count = async () => (await jsm.streams.info("EVENTS")).state.consumer_count
    const before = await count()
    const fresh = await openOn()
    const reader = await follow(fresh, "/events?after=0")
    await reader.until(() => true)
    expect(await count()).toBeGreaterThan(before)
    await Promise.all([reader.until(() => false), fresh.close()])
    await expect.poll(count).toBe(before)
    await nc.close()
  })
})
