import { atMost, type Bench, told } from "./bench.ts"
import { client } from "./http-client.ts"
import { rss } from "./rss.ts"
import { tokenOf, withStack } from "./stack.ts"

const limits = { gateway: 200, scheduler: 150, projector: 150, worker: 150 } as const
const body = JSON.stringify({ distribution: "test-distro-1", images: [{ architecture: "x86_64", type: "simulated" }] })

/** Resident memory of each process after it has worked, so that what it loads late is loaded. */
export const memory: Bench = {
  name: "memory",
  about: "resident memory of each process, after 200 composes and 10 s of rest",
  run: (say) =>
    withStack({}, async (stack) => {
      const http = client(stack.url, await tokenOf(stack), 8)
      for (let index = 0; index < 200; index++) await http.send("POST", "/api/kiln/v1/composes", body)
      for (let index = 0; index < 50; index++) await http.send("GET", "/api/kiln/v1/composes?limit=20")
      http.close()
      say("resting")
      await new Promise((resolve) => setTimeout(resolve, 10_000))
      const metrics = []
      for (const [name, limit] of Object.entries(limits)) metrics.push(atMost(name, await rss(stack.processes.get(name)!.pid), limit, "MiB"))
      for (const name of ["nats", "postgres"]) metrics.push(told(name, await rss(stack.processes.get(name)!.pid), "MiB"))
      return metrics
    })
}
