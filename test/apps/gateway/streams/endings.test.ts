/** How streams end that have not come to their end. */
import { request } from "node:http"
import { text } from "node:stream/consumers"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { api, type Gateway, openGateway } from "../harness.ts"
import { given } from "../scenes.ts"
import { type Event, readerOf } from "../sse-reader.ts"

const manner = { keepAlive: 100, windowBytes: 32 * 1024 }
let gateway: Gateway
beforeAll(async () => {
  gateway = await openGateway(manner)
})
afterAll(() => gateway.close())

const isReconnect = ({ event }: Event) => event === "reconnect"
const follow = async (path: string, headers: Record<string, string> = {}, token?: string) =>
  readerOf(await gateway.call(`${api}${path}`, { headers, ...(token !== undefined && { token }) }))

/** Somebody who asks and does not read, until told to. */
const lazy = async (path: string) => {
  const token = await gateway.token({ ttl: 600_000 })
  const response = await new Promise<import("node:http").IncomingMessage>((resolve, reject) =>
    request(`${gateway.url}${api}${path}`, { headers: { authorization: `Bearer ${token}` } }, resolve).on("error", reject).end())
  response.pause()
  return { read: async () => readerOf(new Response(await text(response))).until(() => false) }
}

const longLines = (batch: number) => Array.from({ length: 100 }, (_, n) => `${batch}.${n} ${"x".repeat(1000)}`)
const textsOf = (events: ReadonlyArray<Event>) => events.flatMap(({ data, event }) => event === "line" ? [data.text as string] : [])

describe("a reader", () => {
  it("that takes nothing while much is said is sent away with a word, and misses nothing when it comes back", async () => {
    const compose = await given(gateway)
    await compose.started("0-build")
    const slow = await lazy(`/composes/${compose.id}/events`)
    const quick = await follow(`/composes/${compose.id}/events`)
    for (let batch = 0; batch < 300; batch++) {
      await compose.prints("0-build", longLines(batch))
      await quick.until(({ data }) => data.text?.startsWith(`${batch}.99 `))
    }
    await quick.close()
    const seen = await slow.read()
    expect(seen.at(-1)).toMatchObject({ event: "reconnect", data: { reason: "slow" } })
    expect(textsOf(seen).length).toBeLessThan(30_000)

    await compose.failed("0-build", "user")
    const rest = await (await follow(`/composes/${compose.id}/events`, { "last-event-id": seen.at(-1)!.id })).until(() => false)
    expect(rest.at(-1)).toMatchObject({ event: "end" })
    // The id comes with the last line of a batch.
    const whole = seen.slice(0, seen.findLastIndex(({ event, id }, at) => event === "line" && id !== seen[at - 1]?.id) + 1)
    expect([...textsOf(whole), ...textsOf(rest)]).toEqual(Array.from({ length: 300 }, (_, batch) => longLines(batch)).flat())
  })

  it("is sent away when its token expires, from a compose and from a tenant, and told so", async () => {
    const { id } = await given(gateway)
    const token = await gateway.token({ ttl: 2000 })
    const readers = await Promise.all([`/composes/${id}/events`, "/events"].map((path) => follow(path, {}, token)))
    for (const reader of readers) {
      const events = await reader.until(() => false)
      expect(events.at(-1)).toMatchObject({ event: "reconnect", data: { reason: "token-expired" } })
    }
  })

  it("is sent away when the gateway stops, with an id to go on from at another", async () => {
    const stopping = await openGateway(manner)
    const { id } = await given(stopping)
    const compose = readerOf(await stopping.call(`${api}/composes/${id}/events`))
    const tenant = readerOf(await stopping.call(`${api}/events?after=0`))
    const seen = [await compose.until(({ event }) => event === "status"), await tenant.until(({ event }) => event === "kiln.compose.requested")]
    const [first, second] = await Promise.all([compose.until(() => false), tenant.until(() => false), stopping.close()])
    for (const last of [first.at(-1)!, second.at(-1)!]) expect(last).toMatchObject({ event: "reconnect", data: { reason: "stopping" } })
    expect(first.find(isReconnect)!.id).toBe(seen[0]!.at(-1)!.id)
    expect(second.find(isReconnect)!.id).toMatch(/^EVENTS:\d+$/)
  })

  it("who was sent away is told when to come back", async () => {
    const token = await gateway.token({ ttl: 2000 })
    const response = await gateway.call(`${api}/events`, { token })
    const body = await response.text()
    const [, retry] = /^retry: (\d+)\nevent: reconnect$/m.exec(body)!
    expect(Number(retry)).toBeGreaterThanOrEqual(500)
    expect(body).toContain(`"retry_ms":${retry}`)
  })
})

describe("streams", () => {
  it("are counted while they are open, and by why they have ended", async () => {
    const measured = async (name: string) => Number(new RegExp(`^${name} (\\d+)`, "m").exec(await (await gateway.call("/metrics", { token: null })).text())?.[1] ?? 0)
    const open = () => measured('kiln_event_streams\\{kind="tenant"\\}')
    const expired = () => measured('kiln_event_streams_ended_total\\{reason="token-expired"\\}')
    const [openBefore, expiredBefore] = [await open(), await expired()]
    const reader = await follow("/events", {}, await gateway.token({ ttl: 3000 }))
    expect(await open()).toBe(openBefore + 1)
    await reader.until(() => false)
    await expect.poll(open).toBe(openBefore)
    await expect.poll(expired).toBe(expiredBefore + 1)
  })
})
