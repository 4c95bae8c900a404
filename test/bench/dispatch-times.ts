import { connect } from "@nats-io/transport-node"
import { Effect, Redacted } from "effect"
import { join } from "node:path"
import type { Stack } from "../../apps/standalone/stack.ts"
import { readNatsCredentials } from "../../infra/jetstream/from-environment.ts"
import { client } from "./http-client.ts"
import { tokenOf } from "./stack.ts"

/** Milliseconds from the answer of a POST to the beginning of its job, by the worker's clock, which is this machine's, one after the other. */
export const dispatchTimes = async (stack: Stack, body: string, samples: number): Promise<ReadonlyArray<number>> => {
  const { api } = await Effect.runPromise(readNatsCredentials(join(stack.home, "nats", "nats-credentials.json")))
  const nc = await connect({ servers: stack.natsUrl, user: api.user, pass: Redacted.value(api.password) })
  const begun = new Map<string, PromiseWithResolvers<number>>()
  const startOf = (composeId: string) => {
    const known = begun.get(composeId) ?? Promise.withResolvers<number>()
    begun.set(composeId, known)
    return known
  }
  nc.subscribe("worker.*.*.result", {
    callback: (_, message) => {
      for (const { _tag, at, claim } of message.json<Array<{ _tag: string; at?: number; claim?: { composeId: string; jobId: string } }>>()) {
        if (_tag === "AttemptStarted" && claim?.jobId === "0-build") startOf(claim.composeId).resolve(at!)
      }
    }
  })
  const http = client(stack.url, await tokenOf(stack), 1)
  const found: Array<number> = []
  for (let index = 0; index < samples + 50; index++) {
    const { body: answer } = await http.send("POST", "/api/kiln/v1/composes", body)
    const answered = Date.now()
    const { id } = JSON.parse(answer) as { id: string }
    const at = await startOf(id).promise
    begun.delete(id)
    // Its slot has to be free again before the next one.
    await new Promise((resolve) => setTimeout(resolve, 30))
    if (index >= 50) found.push(Math.max(0, at - answered))
  }
  http.close()
  await nc.close()
  return found
}
