import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Schema } from "effect"
import { TenantStreamEvent } from "../../../apps/gateway/api/events-api.ts"
import { api, type Gateway, openGateway } from "./harness.ts"
import { given, simulated } from "./scenes.ts"
import { type Event, readerOf } from "./sse-reader.ts"

let gateway: Gateway
beforeAll(async () => {
  gateway = await openGateway({ keepAlive: 100, deployment: "house" })
})
afterAll(() => gateway.close())

const open = (query = "", options: { last?: string; token?: string } = {}) =>
  gateway.call(`${api}/events${query}`, {
    ...(options.token !== undefined && { token: options.token }), headers: options.last === undefined ? {} : { "last-event-id": options.last }
  })
const follow = async (...given: Parameters<typeof open>) => readerOf(await open(...given))
const isOf = (id: string, type: string) => ({ event, data }: Event) => event === type && data.data.compose_id === id
const typesOf = (events: ReadonlyArray<Event>, id: string) => events.filter(({ data }) => data.data?.compose_id === id).map(({ event }) => event)
const wholeLife = [
  "kiln.compose.requested", "kiln.job.started", "kiln.image.built", "kiln.job.started", "kiln.image.delivered", "kiln.compose.succeeded"
]

describe("the events of a tenant", () => {
  it("are those that happen from now on, as CloudEvents, by their types", async () => {
    const before = await given(gateway)
    const reader = await follow()
    const compose = await given(gateway, { ...simulated, name: "web", labels: { team: "red" } })
    await compose.done()
    const events = await reader.until(isOf(compose.id, "kiln.compose.succeeded"))
    await reader.close()
    expect(typesOf(events, compose.id)).toEqual(wholeLife)
    expect(typesOf(events, before.id)).toEqual([])
    const last = events.at(-1)!
    expect(Schema.is(TenantStreamEvent)({ ...last, data: JSON.stringify(last.data) })).toBe(true)
    expect(last.data).toMatchObject({
      specversion: "1.0", type: "kiln.compose.succeeded", source: "/kiln/house/tenants/acme", subject: `composes/${compose.id}`,
      data: { compose_id: compose.id, status: "succeeded", name: "web", labels: { team: "red" } }
    })
  })

  it("go on after the last one that was seen, without gap or repetition, be it by header or by address", async () => {
    const reader = await follow()
    const compose = await given(gateway)
    const seen = await reader.until(isOf(compose.id, "kiln.compose.requested"))
    await reader.close()
    await compose.done()
    for (const again of [await follow("", { last: seen.at(-1)!.id }), await follow(`?after=${seen.at(-1)!.id}`)]) {
      expect(typesOf(await again.until(isOf(compose.id, "kiln.compose.succeeded")), compose.id)).toEqual(wholeLife.slice(1))
      await again.close()
    }
  })

  it("repeat a decision whole to who broke off inside it", async () => {
    const reader = await follow()
    const compose = await given(gateway)
    await compose.done()
    const seen = await reader.until(isOf(compose.id, "kiln.image.delivered"))
    await reader.close()
    const again = await follow("", { last: seen.at(-1)!.id })
    expect(typesOf(await again.until(isOf(compose.id, "kiln.compose.succeeded")), compose.id)).toEqual(wholeLife.slice(-2))
    await again.close()
  })

  it("are told from the beginning of the log to who asks for that", async () => {
    const composes = [await given(gateway), await given(gateway)]
    for (const compose of composes) await compose.done()
    const reader = await follow("?after=0")
    const events = await reader.until(isOf(composes[1]!.id, "kiln.compose.succeeded"))
    await reader.close()
    for (const { id } of composes) expect(typesOf(events, id)).toEqual(wholeLife)
  })

  it("begin with a place to come back to, and name a later one while nothing is told", async () => {
    const token = await gateway.token({ tenant: "quiet", ttl: 600_000 })
    const response = await open("", { token })
    const lines = await readUntil(response, (ids) => new Set(ids).size > 1, () => given(gateway))
    const [first] = lines
    const { id } = await (await gateway.post(simulated, {}, token)).json() as { id: string }
    const again = await follow("", { token, last: first! })
    expect(typesOf(await again.until(isOf(id, "kiln.compose.requested")), id)).toEqual(["kiln.compose.requested"])
    await again.close()
  })

  it("are none of another tenant's", async () => {
    const token = await gateway.token({ tenant: "other", ttl: 600_000 })
    const [live, history] = [await follow("", { token }), await follow("?after=0", { token })]
    const compose = await given(gateway)
    await compose.done()
    const { id } = await (await gateway.post(simulated, {}, token)).json() as { id: string }
    for (const reader of [live, history]) {
      expect((await reader.until(isOf(id, "kiln.compose.requested"))).map(({ event }) => event)).toEqual(["kiln.compose.requested"])
      await reader.close()
    }
  })

  it("are only those of the types that are asked for", async () => {
    const reader = await follow("?type=kiln.image.*&type=kiln.compose.succeeded")
    const compose = await given(gateway)
    await compose.done()
    const events = await reader.until(isOf(compose.id, "kiln.compose.succeeded"))
    await reader.close()
    expect(typesOf(events, compose.id)).toEqual(["kiln.image.built", "kiln.image.delivered", "kiln.compose.succeeded"])
  })

  it("are only those of composes with the labels that are asked for, also from the middle of a compose on", async () => {
    const red = await given(gateway, { ...simulated, labels: { team: "red", stage: "x" } })
    const reader = await follow("?label=team=red&label=stage")
    const others = [await given(gateway, { ...simulated, labels: { team: "blue", stage: "x" } }), await given(gateway, { ...simulated, labels: { team: "red" } })]
    for (const compose of [...others, red]) await compose.done()
    const events = await reader.until(isOf(red.id, "kiln.compose.succeeded"))
    await reader.close()
    expect(typesOf(events, red.id)).toEqual(wholeLife.slice(1))
    expect(others.flatMap(({ id }) => typesOf(events, id))).toEqual([])
  })

  it("cannot go on from what is no id of theirs, nor be of types that there are not", async () => {
    for (const [response, fault] of [
      [await open("", { last: "1.0" }), { in: "header", path: "last-event-id" }],
      [await open("?after=OTHER:1"), { in: "query", path: "after" }],
      [await open("?type=kiln.compose.exploded"), { in: "query", path: "type" }],
      [await open("?type=nonsense"), { in: "query" }]
    ] as const) {
      expect(response.status).toBe(400)
      expect(await response.json()).toMatchObject({ errors: [fault] })
    }
  })

  it("need a token", async () => {
    expect((await gateway.call(`${api}/events`, { token: null })).status).toBe(401)
  })
})

/** The ids that a stream has said so far, until there are enough of them; `meanwhile` once it has begun. */
const readUntil = async (response: Response, enough: (ids: ReadonlyArray<string>) => boolean, meanwhile: () => Promise<unknown>) => {
  const bytes = response.body!.getReader()
  let text = ""
  const ids = () => [...text.matchAll(/^id: (\S+)$/gm)].map(([, id]) => id!)
  while (!enough(ids())) {
    text += new TextDecoder().decode((await bytes.read()).value)
    if (ids().length === 1) await meanwhile()
  }
  await bytes.cancel()
  return ids()
}
