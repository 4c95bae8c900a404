import type { ServerResponse } from "node:http"
import { stripVTControlCharacters } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Kiln, kilnAt } from "../../../apps/operator/client.ts"
import { Output, type OutputShape } from "../../../apps/operator/output.ts"
import { watchCompose } from "../../../apps/operator/watch-compose.ts"
import { event, fakeService, json, routes } from "./fake-service.ts"

const at = "2026-01-31T12:00:00.000Z"
const queued = event("status", { status: "pending", at, revision: 1, jobs: [{ id: "0-build", kind: "build", image: 0, status: "queued", attempt: 1 }] }, "1.0")
const running = event("status", { status: "running", at, revision: 1, jobs: [{ id: "0-build", kind: "build", image: 0, status: "running", attempt: 1 }] }, "1.0")
const ended = event("end", { status: "canceled" })
const words = "position 12 in pool default"
const details = { jobs: [{ id: "0-build", waiting_for: { reason: "slots", message: words } }] }

/** The compose ends once those words were said, or after the first drawing where they never are. */
const watched = Effect.fnUntraced(function*(beginning: string, output: Partial<OutputShape>, until: (text: string) => boolean) {
  const written: Array<string> = []
  let stream: ServerResponse | undefined
  const service = yield* fakeService(routes({
    "/events": (_, response) => {
      stream = response.writeHead(200, { "content-type": "text/event-stream" })
      response.write(beginning)
    },
    "/composes/c1": json(200, details)
  }))
  const shape: OutputShape = {
    json: false, utc: true, terminal: false, colours: false, columns: () => 80, writeError: () => {}, ...output,
    write: (text) => {
      written.push(stripVTControlCharacters(text))
      if (until(written.join(""))) stream?.end(ended)
    }
  }
  yield* watchCompose("c1").pipe(Effect.provideService(Output, shape), Effect.provideService(Kiln, kilnAt({ url: service.url, token: "t" })))
  return { text: written.join(""), asked: service.requests.filter(({ url }) => url!.endsWith("/composes/c1")).length }
})

describe("watching a compose of which nothing runs", () => {
  it.live("given no terminal, then what it waits for is a line", Effect.fnUntraced(function*() {
    const { text } = yield* watched(queued, {}, (text) => text.includes(words))
    assert.match(text, /^\d\d:\d\d:\d\d {2}position 12 in pool default$/m)
  }))

  it.live("given a terminal, then what it waits for is drawn below its state", Effect.fnUntraced(function*() {
    const { text } = yield* watched(queued, { terminal: true }, (text) => text.includes(words))
    assert.match(text, /^pending.*1 to come\n {2}position 12 in pool default$/m)
  }))

  it.live("given a job that runs, then nobody asks what it waits for", Effect.fnUntraced(function*() {
    const drawings = (text: string) => text.split("running  ").length
    const { asked, text } = yield* watched(running, { terminal: true }, (text) => drawings(text) > 20)
    assert.strictEqual(asked, 0)
    assert.notInclude(text, words)
  }))
})
