/** A tenant's events over a log of which a period lies in the archive alone. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Exit, Layer, Redacted, Scope } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { archiveStream } from "../../../../apps/scheduler/keep-periods.ts"
import { Periods } from "../../../../domain/ports/periods.ts"
import { EventLogJetStream } from "../../../../infra/jetstream/event-log.ts"
import { CoreNatsLive } from "../../../../infra/jetstream/nats.ts"
import { PeriodsJetStream } from "../../../../infra/jetstream/periods.ts"
import { type NatsForTests, natsServer } from "../../../support/servers.ts"
import { api, type Gateway, openGateway } from "../harness.ts"
import { given } from "../scenes.ts"
import { type Event, readerOf } from "../sse-reader.ts"

const archive = mkdtempSync(join(tmpdir(), "kiln-archive-"))
const log = { partitions: 1, replicas: 1, period: 2000, archive }
const scope = Effect.runSync(Scope.make())
let nats: NatsForTests
let gateway: Gateway
let later: Gateway | undefined

const core = () => {
  const { password, user } = nats.credentials.core
  return CoreNatsLive({ servers: nats.url, user, password: Redacted.value(password) }, "test")
}
const openOn = () => openGateway({ keepAlive: 200 }, EventLogJetStream(log).pipe(Layer.provide(core()), Layer.orDie) as Layer.Layer<never>)

beforeAll(async () => {
  nats = await Effect.runPromise(Scope.provide(scope)(natsServer))
  gateway = await openOn()
})
afterAll(async () => {
  await Promise.all([gateway.close(), later?.close()])
  await Effect.runPromise(Scope.close(scope, Exit.void))
  rmSync(archive, { recursive: true, force: true })
})

const follow = async (at: Gateway, query: string, last?: string) =>
  readerOf(await at.call(`${api}/events${query}`, last === undefined ? {} : { headers: { "last-event-id": last } }))
const wholeLife = [
  "kiln.compose.requested", "kiln.job.started", "kiln.image.built", "kiln.job.started", "kiln.image.delivered", "kiln.compose.succeeded"
]
const toldOf = (events: ReadonlyArray<Event>) => events.map(({ data, event }) => [data.data.compose_id as string, event])

/** When it is over: into the archive, and off the server. */
const archived = Effect.gen(function*() {
  const periods = yield* Periods
  const [of] = (yield* periods.list).filter(({ entries, period }) => period !== undefined && entries > 0)
  yield* Effect.sleep(Math.max(0, of!.period!.to - Date.now()))
  yield* archiveStream(of!)
  return (yield* periods.list).find(({ stream }) => stream === of!.stream)
})

describe("the events of a tenant, of which the first lie in the archive alone", () => {
  it("are told whole and in order: to who has followed them, to who asks for all, and to who comes back", async () => {
    const open = await follow(gateway, "?after=0")
    const early = await given(gateway)
    const seen = await open.until(({ event }) => event === "kiln.compose.requested")
    await early.done()
    expect(await Effect.runPromise(archived.pipe(Effect.provide(PeriodsJetStream(log).pipe(Layer.provide(core())))))).toMatchObject({ state: "dropped", entries: 5 })
    const late = await given(gateway)
    await late.done()

    later = await openOn()
    const all = [early, late].flatMap(({ id }) => wholeLife.map((type) => [id, type]))
    const readers = [
      [open, all.slice(1)], [await follow(gateway, "?after=0"), all], [await follow(later, "?after=0"), all],
      [await follow(gateway, "", seen.at(-1)!.id), all.slice(1)], [await follow(later, "", seen.at(-1)!.id), all.slice(1)]
    ] as const
    for (const [reader, expected] of readers) {
      const events = await reader.until(({ data, event }) => event === "kiln.compose.succeeded" && data.data.compose_id === late.id)
      expect(toldOf(events)).toEqual(expected)
      await reader.close()
    }
  })
})
