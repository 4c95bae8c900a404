import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { api, type Gateway, openGateway } from "./harness.ts"
import { given, simulated } from "./scenes.ts"

let gateway: Gateway
const ids: Array<string> = []
beforeAll(async () => {
  gateway = await openGateway()
  for (let n = 0; n < 7; n += 1) {
    const body = n === 3
      ? { distribution: "debian-13", name: "Mail Server", labels: { team: "post" }, images: [{ architecture: "x86_64", type: "guest-image" }] }
      : { ...simulated, name: `n${n}` }
    ids.push((await given(gateway, body)).id)
  }
  await gateway.call(`${api}/composes/${ids[0]}/cancel`, { method: "POST" })
})
afterAll(() => gateway.close())

interface Page {
  readonly items: ReadonlyArray<{ readonly id: string; readonly requested_at: string }>
  readonly next?: string
}
const list = async (query = "") => await (await gateway.call(`${api}/composes${query}`)).json() as Page
const found = async (query: string) => (await list(query)).items.map(({ id }) => ids.indexOf(id))

describe("the list of composes", () => {
  it("has all of them, newest first", async () => {
    expect((await list()).items.map(({ id }) => id)).toEqual(ids.toReversed())
    expect(await list()).not.toHaveProperty("next")
  })

  it("comes in pages that follow each other without gap or repetition", async () => {
    const seen: Array<string> = []
    let query = "?limit=3"
    for (;;) {
      const page = await list(query)
      seen.push(...page.items.map(({ id }) => id))
      if (page.next === undefined) break
      query = `?limit=3&cursor=${page.next}`
    }
    expect(seen).toEqual(ids.toReversed())
  })

  it("links to the next page, with the filters", async () => {
    const response = await gateway.call(`${api}/composes?limit=2&distribution=test-distro-1`)
    const link = /^<(.*)>; rel="next"$/.exec(response.headers.get("link")!)![1]!
    const next = await (await gateway.call(link)).json() as Page
    expect(next.items.map(({ id }) => ids.indexOf(id))).toEqual([4, 2])
    expect((await gateway.call(`${api}/composes`)).headers.get("link")).toBeNull()
  })

  it("is filtered by status, distribution and text", async () => {
    expect(await found("?status=canceled")).toEqual([0])
    expect(await found("?distribution=debian-13")).toEqual([3])
    expect(await found("?search=SERVER%20post")).toEqual([3])
    expect(await found("?search=nothing")).toEqual([])
  })

  it("is filtered by who asked, by label, and by what is made and where it goes", async () => {
    const composes = [0, 1, 2, 4, 5, 6].toReversed()
    expect(await found("?requester=anna&label=team=post")).toEqual([3])
    expect(await found("?requester=bob")).toEqual([])
    expect(await found("?label=team&label=team%3Dpost")).toEqual([3])
    expect(await found("?label=team&label=env")).toEqual([])
    expect(await found("?image_type=simulated&architecture=x86_64&target=file")).toEqual(composes)
    expect(await found("?target=aws")).toEqual([])
  })

  it("is filtered by time, with any zone", async () => {
    const { items: [newest] } = await list()
    const at = Date.parse(newest!.requested_at)
    expect(await found(`?since=${new Date(at + 1).toISOString()}`)).toEqual([])
    expect(await found(`?until=${new Date(at + 1).toISOString()}&limit=1`)).toEqual([6])
    const inTwoHours = new Date(at + 7_200_001).toISOString().replace("Z", "+02:00")
    expect(await found(`?limit=1&until=${encodeURIComponent(inTwoHours)}`)).toEqual([6])
  })

  it.each([
    "limit=0", "limit=101", "limit=x", "limit=1.5", "limit=1&limit=2", "cursor=x", "cursor=%00", "cursor=W10", "status=done", "since=today",
    "since=2026-01-01T00:00:00", "since=2026-02-30T25:00:00Z", "since=0000-01-01T00:00:00Z", "search=%00", "search=", "colour=red", "__proto__=1", "target=moon",
    "image_type=A", "architecture=i386", "requester="
  ])("refuses ?%s with its place", async (query) => {
    const response = await gateway.call(`${api}/composes?${query}`)
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ errors: [{ in: "query", path: query.split("=")[0] }] })
  })
})
