import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { api, type Gateway, openGateway } from "./harness.ts"
import { given } from "./scenes.ts"
import { type Event, readerOf } from "./sse-reader.ts"

let gateway: Gateway
beforeAll(async () => {
  gateway = await openGateway({ keepAlive: 100 })
})
afterAll(() => gateway.close())

const open = (id: string, last?: string) =>
  gateway.call(`${api}/composes/${id}/events`, last === undefined ? {} : { headers: { "last-event-id": last } })
const follow = async (id: string, last?: string) => readerOf(await open(id, last))
const isEnd = ({ event }: Event) => event === "end"
const isLine = (text: string) => ({ event, data }: Event) => event === "line" && data.text === text
const texts = (events: ReadonlyArray<Event>) => events.filter(({ event }) => event === "line").map(({ data }) => data.text)
const statuses = (events: ReadonlyArray<Event>) => events.filter(({ event }) => event === "status").map(({ data }) => data.status)

describe("the events of a compose", () => {
  it("come as an event stream that nobody may keep", async () => {
    const { id } = await given(gateway)
    const response = await open(id)
    expect(response.headers.get("content-type")).toBe("text/event-stream")
    expect(response.headers.get("cache-control")).toBe("no-cache")
    await readerOf(response).close()
  })

  it("tell of status, progress and lines as they come, and end with the compose", async () => {
    const compose = await given(gateway)
    const reader = await follow(compose.id)
    const [first] = await reader.until(({ event }) => event === "status")
    expect(first).toMatchObject({ data: { status: "pending", revision: 1, jobs: [{ id: "0-build", status: "queued", attempt: 1 }] } })

    await compose.started("0-build")
    const [started] = await reader.until(({ event }) => event === "status")
    expect(started!.data).toMatchObject({ status: "running", jobs: [{ id: "0-build", status: "running", worker: "w1" }] })

    await compose.progresses("0-build", 40)
    const [progress] = await reader.until(({ event }) => event === "progress")
    expect(progress!.data).toMatchObject({ job: "0-build", attempt: 1, stage: "packages", percent: 40 })

    await compose.prints("0-build", ["one", "two"])
    expect(texts(await reader.until(isLine("two")))).toEqual(["one", "two"])

    await gateway.call(`${api}/composes/${compose.id}/cancel`, { method: "POST" })
    const rest = await reader.until(() => false)
    expect(rest.at(-1)).toMatchObject({ event: "end", data: { status: "canceled" } })
  })

  it("go on past an end that a retry has undone", async () => {
    const compose = await given(gateway)
    await compose.started("0-build")
    await compose.failed("0-build", "user")
    await gateway.call(`${api}/composes/${compose.id}/retry`, { method: "POST" })
    await compose.started("0-build", 2, "w2")
    const reader = await follow(compose.id)
    await reader.until(({ event, data }) => event === "status" && (data as { revision: number }).revision === 5)
    await gateway.call(`${api}/composes/${compose.id}/cancel`, { method: "POST" })
    const rest = await reader.until(() => false)
    expect(rest.filter(({ event }) => event === "end")).toMatchObject([{ data: { status: "canceled" } }])
  })

  it("deliver every line before the end", async () => {
    const compose = await given(gateway)
    await compose.started("0-build")
    const reader = await follow(compose.id)
    const lines = Array.from({ length: 500 }, (_, n) => `line ${n}`)
    for (let n = 0; n < 500; n += 50) await compose.prints("0-build", lines.slice(n, n + 50))
    await compose.failed("0-build", "user")
    const events = await reader.until(isEnd)
    expect(texts(events)).toEqual(lines)
    expect(events.at(-1)).toMatchObject({ event: "end", data: { status: "failed", failure: { class: "user", message: "it broke" } } })
    expect(await reader.until(() => false)).toEqual([])
  })

  it("go on after the last one that was seen, without gap or repetition", async () => {
    const compose = await given(gateway)
    await compose.started("0-build")
    const before = await follow(compose.id)
    await compose.prints("0-build", ["one", "two"])
    const seen = await before.until(isLine("two"))
    await before.close()
    await compose.prints("0-build", ["three"])
    await compose.failed("0-build", "user")
    const rest = await (await follow(compose.id, seen.at(-1)!.id)).until(isEnd)
    expect(texts(rest)).toEqual(["three"])
    expect(statuses(rest)).toEqual(["failed"])
  })

  it("repeat a batch of lines whole to who broke off inside it", async () => {
    const compose = await given(gateway)
    await compose.started("0-build")
    await compose.prints("0-build", ["one", "two", "three"])
    const reader = await follow(compose.id)
    const id = (await reader.until(isLine("two"))).at(-1)!.id
    await reader.close()
    const again = await follow(compose.id, id)
    expect(texts(await again.until(isLine("three")))).toEqual(["one", "two", "three"])
    await again.close()
  })

  it("hear only who holds the attempt", async () => {
    const compose = await given(gateway)
    await compose.started("0-build", 1, "w1")
    const reader = await follow(compose.id)
    await compose.prints("0-build", ["forged"], 1, "thief")
    await compose.prints("0-build", ["of an attempt to come"], 7, "w1")
    await compose.progresses("0-build", 99, 1, "thief")
    await compose.prints("0-build", ["real"], 1, "w1")
    await compose.lost("0-build")
    await compose.started("0-build", 2, "w2")
    const first = await reader.until(({ event, data }) => event === "status" && data.jobs[0].worker === "w2")
    await compose.progresses("0-build", 98, 1, "w1")
    await compose.prints("0-build", ["second try"], 2, "w2")
    await gateway.call(`${api}/composes/${compose.id}/cancel`, { method: "POST" })
    const events = [...first, ...await reader.until(isEnd)]
    expect(texts(events)).toEqual(["real", "second try"])
    expect(events.filter(({ event }) => event === "progress")).toEqual([])
  })

  it("keep lines that came before the log knew their worker", async () => {
    const compose = await given(gateway)
    const reader = await follow(compose.id)
    await reader.until(({ event }) => event === "status")
    await compose.prints("0-build", ["early"])
    await new Promise((resolve) => setTimeout(resolve, 50))
    await compose.started("0-build")
    expect(texts(await reader.until(isLine("early")))).toEqual(["early"])
    await reader.close()
  })

  it("of a compose that has ended are told again, and end", async () => {
    const compose = await given(gateway)
    await compose.done()
    const events = await (await follow(compose.id)).until(() => false)
    expect(statuses(events)).toEqual(["pending", "running", "running", "running", "succeeded"])
    expect(events.at(-1)).toMatchObject({ event: "end", data: { status: "succeeded" } })
  })

  it("to who has seen all of them are just the end", async () => {
    const compose = await given(gateway)
    await compose.done()
    const { id } = (await (await follow(compose.id)).until(() => false)).at(-1)!
    expect((await (await follow(compose.id, id)).until(() => false)).map(({ event }) => event)).toEqual(["end"])
  })

  it("show the progress there is to who comes late", async () => {
    const compose = await given(gateway)
    await compose.started("0-build")
    await compose.progresses("0-build", 70)
    const reader = await follow(compose.id)
    expect((await reader.until(({ event }) => event === "progress")).at(-1)!.data).toMatchObject({ percent: 70 })
    await reader.close()
  })

  it("are kept open by comments while nothing happens", async () => {
    const { id } = await given(gateway)
    const reader = await follow(id)
    await reader.until(({ event }) => event === "status")
    await reader.commented(3)
    await gateway.call(`${api}/composes/${id}/cancel`, { method: "POST" })
    await reader.until(isEnd)
  })

  it("cannot go on from what is no id of theirs", async () => {
    const { id } = await given(gateway)
    const response = await open(id, "x")
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ errors: [{ in: "header", path: "last-event-id" }] })
  })

  it("of a compose that is not there are a plain 404", async () => {
    const response = await open("01900000-0000-7000-8000-000000000000")
    expect(response.status).toBe(404)
    expect(response.headers.get("content-type")).toBe("application/problem+json")
  })

  it("can be followed by a hundred at once", async () => {
    const compose = await given(gateway)
    const readers = await Promise.all(Array.from({ length: 100 }, () => follow(compose.id)))
    await compose.done()
    const all = await Promise.all(readers.map((reader) => reader.until(isEnd)))
    expect(all.every((events) => events.at(-1)!.event === "end")).toBe(true)
  })
})
