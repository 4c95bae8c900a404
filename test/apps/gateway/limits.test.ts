/** How much of what is kept open or looked after a tenant may have. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { anImage, api, type Gateway, openGateway } from "./harness.ts"
import { given } from "./scenes.ts"

let gateway: Gateway
beforeAll(async () => void (gateway = await openGateway({ pipelinesPerTenant: 2, streamsPerTenant: 2 })))
afterAll(() => gateway.close())

const declare = (name: string, query = "", token?: string) =>
  gateway.call(`${api}/pipelines/${name}${query}`, {
    method: "PUT", headers: { "content-type": "application/json" }, body: JSON.stringify({ compose: { distribution: "debian-13", images: [anImage] } }), ...(token !== undefined && { token })
  })

describe("pipelines of a tenant", () => {
  it("given as many as there may be, then another one is refused with the rule, known ones can be changed, and a deleted one makes room", async () => {
    expect([(await declare("one")).status, (await declare("two")).status]).toEqual([200, 200])
    for (const query of ["", "?dry_run=true"]) {
      const refused = await declare("three", query)
      expect([refused.status, await refused.json()]).toEqual([403, expect.objectContaining({ type: "urn:kiln:problem:too-many-pipelines", rule: "pipelines", limit: 2, used: 2 })])
    }
    expect((await declare("two")).status).toBe(200)
    expect((await declare("three", "", await gateway.token({ tenant: "beta" }))).status).toBe(200)
    expect((await gateway.call(`${api}/pipelines/one`, { method: "DELETE" })).status).toBe(204)
    expect((await declare("three")).status).toBe(200)
  })
})

describe("streams of a tenant", () => {
  it("given as many as may be open, then another one is refused with the rule, be it of what it is, and one that ends makes room", async () => {
    const compose = await given(gateway)
    const open = (path: string, token?: string) => gateway.call(`${api}${path}`, token === undefined ? {} : { token })
    // Its head alone is no stream.
    for (let n = 0; n < 3; n += 1) expect((await gateway.call(`${api}/events`, { method: "HEAD" })).status).toBe(200)
    const [first, second] = [await open("/events"), await open(`/composes/${compose.id}/events`)]
    expect([first.status, second.status]).toEqual([200, 200])
    for (const path of ["/events", `/composes/${compose.id}/events`, `/composes/${compose.id}/logs?follow=true`]) {
      const refused = await open(path)
      expect([refused.status, await refused.json()]).toEqual([429, expect.objectContaining({ type: "urn:kiln:problem:too-many-streams", rule: "event_streams", limit: 2, used: 2 })])
    }
    // What another tenant has is its own.
    const theirs = await open("/events", await gateway.token({ tenant: "beta" }))
    expect(theirs.status).toBe(200)
    await theirs.body!.cancel()
    await first.body!.cancel()
    const again = async (): Promise<Response> => {
      const answer = await open("/events")
      return answer.status === 429 ? again() : answer
    }
    const third = await again()
    expect(third.status).toBe(200)
    // All that is open at once counts, also what is asked for in the same moment.
    await Promise.all([second, third].map((each) => each.body!.cancel()))
    const room = async (): Promise<ReadonlyArray<number>> => {
      const answers = await Promise.all(Array.from({ length: 5 }, () => open("/events")))
      await Promise.all(answers.filter(({ status }) => status === 200).map((each) => each.body!.cancel()))
      const counts = answers.map(({ status }) => status).toSorted()
      return counts[0] === 200 && counts[1] === 200 ? counts : room()
    }
    expect(await room()).toEqual([200, 200, 429, 429, 429])
  })
})
