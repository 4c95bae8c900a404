import { connect } from "@nats-io/transport-node"
import { jetstream } from "@nats-io/jetstream"
import { Redacted } from "effect"
import { v7 } from "uuid"
import { encode } from "../../infra/jetstream/envelope.ts"
import { composeRef } from "../../domain/recorded.ts"
import { decisionOf, jobs, queued, requested, tenantId } from "../support/composes.ts"
import { atLeast, type Bench, told } from "./bench.ts"
import { client } from "./http-client.ts"
import { tokenOf, withStack } from "./stack.ts"

const inFlight = 32
const count = 4000

const body = JSON.stringify({ distribution: "test-distro-1", name: "bench", images: [{ architecture: "x86_64", type: "simulated" }] })

/** Keeps `inFlight` of them under way until `total` are done; answers how many a second. */
const rate = async (total: number, one: () => Promise<void>): Promise<number> => {
  let begun = 0
  const start = performance.now()
  await Promise.all(Array.from({ length: inFlight }, async () => {
    while (begun++ < total) await one()
  }))
  return total / ((performance.now() - start) / 1000)
}

export const accept: Bench = {
  name: "accept",
  about: "composes accepted a second at 32 in flight, against bare publishes to the same log",
  run: (say) =>
    withStack({ workers: 0 }, async (stack) => {
      const token = await tokenOf(stack)
      const http = client(stack.url, token, inFlight)
      const post = async () => {
        const { status, body: answer } = await http.send("POST", "/api/kiln/v1/composes", body)
        if (status !== 202) throw new Error(`POST answered ${status}: ${answer}`)
      }
      const url = new URL(Redacted.value(stack.natsCoreUrl))
      const nc = await connect({ servers: `${url.hostname}:${url.port}`, user: url.username, pass: decodeURIComponent(url.password) })
      const js = jetstream(nc)
      const bare = async () => {
        const ref = composeRef(tenantId, v7() as never)
        await js.publish(`events.${ref.tenantId}.compose.${ref.id}.1`, encode(ref, 1, decisionOf("bare", requested, queued(jobs.resolve))), { msgID: ref.id })
      }
      say("warming up")
      await rate(1000, post)
      const rounds = []
      for (let round = 1; round <= 3; round++) {
        const [published, accepted] = [await rate(count, bare), await rate(count, post)]
        say(`round ${round}: ${Math.round(accepted)} accepted, ${Math.round(published)} published a second`)
        rounds.push({ published, accepted, ratio: accepted / published })
      }
      http.close()
      await nc.close()
      const { published, accepted, ratio } = rounds.toSorted((a, b) => a.ratio - b.ratio)[1]!
      return [told("accepted", accepted, "composes/s"), told("published", published, "messages/s"), atLeast("ratio", ratio, 0.4, "accepted/published")]
    })
}
