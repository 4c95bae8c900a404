import { connect } from "@nats-io/transport-node"
import { readNatsCredentials } from "../../infra/jetstream/from-environment.ts"
import { Effect, Redacted } from "effect"
import { join } from "node:path"
import { atMost, type Bench, percentile, told } from "./bench.ts"
import { client } from "./http-client.ts"
import { tokenOf, withStack } from "./stack.ts"

const count = 300
const body = JSON.stringify({ distribution: "test-distro-1", images: [{ architecture: "x86_64", type: "simulated", options: { bytes: 1 } }] })

/** The simulated builder's first progress report carries the time at which it began. Both clocks are this machine's one clock. */
export const dispatch: Bench = {
  name: "dispatch",
  about: "time from the answer of a POST to the start of the worker's handler, on an idle stack",
  run: (say) =>
    withStack({}, async (stack) => {
      const { api } = await Effect.runPromise(readNatsCredentials(join(stack.home, "nats", "nats-credentials.json")))
      const nc = await connect({ servers: stack.natsUrl, user: api.user, pass: Redacted.value(api.password) })
      const begun = new Map<string, (at: number) => void>()
      const early = new Map<string, number>()
      nc.subscribe("worker.*.*.progress.>", {
        callback: (_, message) => {
          const composeId = message.subject.split(".")[5]!
          const { at } = message.json<{ at: number }>()
          const tell = begun.get(composeId)
          if (tell === undefined) early.set(composeId, Math.min(at, early.get(composeId) ?? at))
          else tell(at)
        }
      })
      const http = client(stack.url, await tokenOf(stack), 1)
      const one = async () => {
        const { body: answer } = await http.send("POST", "/api/kiln/v1/composes", body)
        const answered = Date.now()
        const { id } = JSON.parse(answer) as { id: string }
        const at = early.get(id) ?? await new Promise<number>((resolve) => begun.set(id, resolve))
        begun.set(id, () => {})
        // The job has to end before the next one, or the stack is not idle.
        await new Promise((resolve) => setTimeout(resolve, 20))
        return Math.max(0, at - answered)
      }
      say("warming up")
      for (let index = 0; index < 50; index++) await one()
      const times: Array<number> = []
      for (let index = 0; index < count; index++) times.push(await one())
      http.close()
      await nc.close()
      return [
        atMost("p50", percentile(times, 0.5), 10, "ms"), atMost("p99", percentile(times, 0.99), 40, "ms"), told("maximum", Math.max(...times), "ms")
      ]
    })
}
