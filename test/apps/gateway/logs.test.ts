import { gzipSync } from "node:zlib"
import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Blobs } from "../../../domain/ports/blobs.ts"
import { api, type Gateway, openGateway } from "./harness.ts"
import { aDigest, given } from "./scenes.ts"

let gateway: Gateway
beforeAll(async () => {
  gateway = await openGateway()
})
afterAll(() => gateway.close())

const logs = async (id: string, query = "") => (await gateway.call(`${api}/composes/${id}/logs${query}`)).text()
const archive = (text: string) => gateway.run(Effect.flatMap(Blobs, (blobs) => blobs.put(gzipSync(text))))

describe("the logs of a compose", () => {
  it("are nothing before a job has begun", async () => {
    const response = await gateway.call(`${api}/composes/${(await given(gateway)).id}/logs`)
    expect(response.status).toBe(200)
    expect(response.headers.get("content-type")).toBe("text/plain; charset=utf-8")
    expect(await response.text()).toBe("")
  })

  it("are what a running attempt has printed so far, by its own worker", async () => {
    const compose = await given(gateway)
    await compose.started("0-build")
    await compose.prints("0-build", ["one"])
    await compose.prints("0-build", ["forged"], 1, "thief")
    await compose.prints("0-build", ["zwei \u00fc"])
    expect(await logs(compose.id)).toBe("one\nzwei \u00fc\n")
  })

  it("are the archive of an attempt that has ended", async () => {
    const compose = await given(gateway)
    await compose.started("0-build")
    await compose.prints("0-build", ["one"])
    const text = "from the archive\n".repeat(100_000)
    await compose.failed("0-build", "user", await archive(text))
    expect(await logs(compose.id)).toBe(text)
  })

  it("have a heading for each of several attempts, and can be had of one job alone", async () => {
    const compose = await given(gateway)
    await compose.started("0-build")
    await compose.prints("0-build", ["before it was lost"])
    await compose.lost("0-build")
    await compose.started("0-build", 2, "w2")
    await compose.prints("0-build", ["again"], 2, "w2")
    const both = "==> 0-build, attempt 1, lost <==\nbefore it was lost\n==> 0-build, attempt 2, running <==\nagain\n"
    expect(await logs(compose.id)).toBe(both)
    expect(await logs(compose.id, "?job=0-build")).toBe(both)
    expect(await logs(compose.id, "?job=0-upload-0")).toBe("")
  })

  it("say so when an archive is no longer kept", async () => {
    const compose = await given(gateway)
    await compose.started("0-build")
    await compose.failed("0-build", "user", { digest: aDigest, size: 1 })
    expect(await logs(compose.id)).toContain("no longer kept")
  })

  it("can be followed until the compose ends", async () => {
    const compose = await given(gateway)
    await compose.started("0-build")
    await compose.prints("0-build", ["one"])
    const text = logs(compose.id, "?follow=true")
    await new Promise((resolve) => setTimeout(resolve, 100))
    await compose.prints("0-build", ["two"])
    await compose.failed("0-build", "user")
    expect(await text).toBe("one\ntwo\n")
  })

  it("of a job that the compose has not are not found, and of no job's name refused", async () => {
    const { id } = await given(gateway)
    expect((await gateway.call(`${api}/composes/${id}/logs?job=5-build`)).status).toBe(404)
    expect((await gateway.call(`${api}/composes/${id}/logs?job=../x`)).status).toBe(400)
  })
})
