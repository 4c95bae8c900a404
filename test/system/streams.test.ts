/** A gateway is killed without a word while its streams are open: readers go on at the next one. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { startStack } from "../../apps/standalone/stack.ts"
import { type Event, readerOf } from "../apps/gateway/sse-reader.ts"
import { temporaryFolder } from "../support/servers.ts"

const lines = 200
const body = { distribution: "test-distro-1", images: [{ architecture: "x86_64", type: "simulated", options: { duration_ms: 4000, lines } }] }

/** What came of a stream before it was cut, if it was. */
const readTo = async (response: Response, seen: Array<Event>, enough: (event: Event) => boolean) => {
  try {
    await readerOf(response).until((event) => {
      seen.push(event)
      return enough(event)
    })
  } catch {
    // The connection is gone with its gateway.
  }
}

/** Of a batch of lines only the last has an id: who was cut off inside one gets it again. */
const whole = (events: ReadonlyArray<Event>, last: string): ReadonlyArray<Event> => events.slice(0, events.findLastIndex(({ id }, at) => id === last && events[at - 1]?.id !== last) + 1)

describe("a gateway that is killed -9", () => {
  it.live("given streams of a compose and of its tenant, when their readers come back, then nothing is missing and nothing is double", () =>
    Effect.gen(function*() {
      const home = yield* temporaryFolder
      const stack = yield* startStack({ home, durable: false, env: { KILN_TEST_DISTRIBUTION: "1" } })
      const token = yield* stack.token("acme", "requester")
      const call = (path: string, init: RequestInit = {}): Promise<Response> =>
        fetch(`${stack.url}/api/kiln/v1${path}`, { ...init, headers: { authorization: `Bearer ${token}`, "content-type": "application/json", ...init.headers } })
          .catch(() => new Promise((resolve) => setTimeout(() => resolve(call(path, init)), 50)))

      const seen: { lines: Array<Event>; events: Array<Event> } = { lines: [], events: [] }
      const follow = async (path: string, events: Array<Event>, isLast: (event: Event) => boolean) => {
        let cuts = 0
        for (let last = "";;) {
          const part: Array<Event> = []
          await readTo(await call(path, last === "" ? {} : { headers: { "last-event-id": last } }), part, isLast)
          if (part.some(isLast)) return { cuts, all: events.push(...part) }
          cuts += 1
          const id = part.findLast((event) => event.id !== "")?.id ?? last
          events.push(...whole(part, id))
          last = id
        }
      }
      const followed = yield* Effect.promise(async () => {
        const tenant = follow("/events?after=0", seen.events, ({ event }) => event === "kiln.compose.succeeded")
        const { id } = await (await call("/composes", { method: "POST", body: JSON.stringify(body) })).json() as { id: string }
        const compose = follow(`/composes/${id}/events`, seen.lines, ({ event }) => event === "end")
        const begun = readerOf(await call(`/composes/${id}/events`))
        await begun.until(({ event }) => event === "line")
        await begun.close()
        await Effect.runPromise(stack.processes.get("gateway")!.kill("SIGKILL"))
        return Promise.all([tenant, compose])
      })
      assert.isTrue(followed.every(({ cuts }) => cuts >= 1))

      const printed = seen.lines.flatMap(({ data, event }) => event === "line" ? [data.text as string] : [])
      assert.strictEqual(printed.length, lines)
      assert.strictEqual(new Set(printed).size, lines)
      const revisions = seen.lines.flatMap(({ data, event }) => event === "status" ? [data.revision as number] : [])
      assert.deepStrictEqual(revisions, revisions.map((_, at) => at + 1))
      const ids = seen.events.filter(({ event }) => event.startsWith("kiln.")).map(({ data }) => data.id as string)
      assert.strictEqual(new Set(ids).size, ids.length)
      assert.deepStrictEqual(seen.events.map(({ event }) => event).filter((event) => event.startsWith("kiln.compose.")), ["kiln.compose.requested", "kiln.compose.succeeded"])
    }).pipe(Effect.scoped))
})
