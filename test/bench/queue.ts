import { connect } from "@nats-io/transport-node"
import { Effect, Layer, Redacted } from "effect"
import { join } from "node:path"
import { v7 } from "uuid"
import type { Stack } from "../../apps/standalone/stack.ts"
import { RequestCompose } from "../../domain/compose-commands.ts"
import { ComposeDecider } from "../../domain/compose.ts"
import { ComposeId, Millis, TenantId } from "../../domain/ids.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { composeRef } from "../../domain/recorded.ts"
import { EventLogJetStream } from "../../infra/jetstream/event-log.ts"
import { readNatsCredentials } from "../../infra/jetstream/from-environment.ts"
import { CoreNatsLive } from "../../infra/jetstream/nats.ts"
import { atMost, type Bench, percentile, told } from "./bench.ts"
import { dispatchTimes } from "./dispatch-times.ts"
import { client } from "./http-client.ts"
import { rss } from "./rss.ts"
import { withStack } from "./stack.ts"

const tenants = 10_000
const samples = 1000
/** What the busy worker eats up while the samples are taken, or little more. */
const meanwhile = 1000
const image = (architecture: "x86_64" | "aarch64", duration_ms: number) => ({ architecture, type: "simulated", options: { bytes: 1, duration_ms } })

/** One worker eats from the crowd all the time; the other is free for what is measured. */
const slots = JSON.stringify({ resolve: 1, build: 2, upload: 2 })
const workerEnv = (at: number) => ({ KILN_SLOTS: slots, KILN_ARCHITECTURES: JSON.stringify([at === 0 ? "x86_64" : "aarch64"]) })
const body = JSON.stringify({ distribution: "test-distro-1", images: [image("aarch64", 0)] })

export const queue: Bench = {
  name: "queue",
  about: "dispatch with --pending jobs of 10,000 tenants waiting (1,000,000 unless said), against dispatch with none; memory and restart of the scheduler",
  run: (say, { pending }) =>
    withStack({ workers: 2, workerEnv }, async (stack) => {
      // A million rows are another bench's business.
      await Effect.runPromise(stack.processes.get("projector")!.stop)
      const operator = client(stack.url, await Effect.runPromise(stack.token("default", "operator")), 1)
      say("measuring with none, and nothing else going on")
      const idle = await dispatchTimes(stack, body, samples)
      say("measuring with none but what keeps the other worker busy")
      await fill(stack, meanwhile)
      const none = await dispatchTimes(stack, body, samples)
      const before = await rss(stack.processes.get("scheduler")!.pid)
      say(`asking for ${pending} composes of ${tenants} tenants`)
      const asked = performance.now()
      await fill(stack, pending)
      say(`appended in ${seconds(asked)} s`)
      await waitingAtLeast(operator, pending * 0.99)
      say(`taken in by the scheduler after ${seconds(asked)} s`)
      const many = await dispatchTimes(stack, body, samples)
      const memory = await rss(stack.processes.get("scheduler")!.pid)
      say("waiting for a snapshot")
      await snapshotTaken(stack)
      const killed = performance.now()
      await Effect.runPromise(stack.processes.get("scheduler")!.kill("SIGKILL"))
      await waitingAtLeast(operator, pending * 0.9)
      const restart = (performance.now() - killed) / 1000
      operator.close()
      const [p99none, p99many] = [percentile(none, 0.99), percentile(many, 0.99)]
      return [
        told("dispatch p50 with none, the other worker idle", percentile(idle, 0.5), "ms"),
        told("dispatch p99 with none, the other worker idle", percentile(idle, 0.99), "ms"),
        told("dispatch p50 with none", percentile(none, 0.5), "ms"),
        told("dispatch p99 with none", p99none, "ms"),
        told(`dispatch p50 with ${pending}`, percentile(many, 0.5), "ms"),
        told(`dispatch p99 with ${pending}`, p99many, "ms"),
        atMost("ratio of p99", p99many / p99none, 2, "with / without"),
        told("scheduler's memory with none", before, "MiB"),
        told(`scheduler's memory with ${pending}`, memory, "MiB"),
        atMost("kill -9 to answering again, from a snapshot", restart, 5, "s")
      ]
    })
}

const seconds = (since: number) => ((performance.now() - since) / 1000).toFixed(1)

/** As a gateway would append them, without the way through HTTP. */
const fill = async (stack: Stack, count: number) => {
  const { core } = await Effect.runPromise(readNatsCredentials(join(stack.home, "nats", "nats-credentials.json")))
  const layer = EventLogJetStream({ partitions: 1, replicas: 1 }).pipe(
    Layer.provide(CoreNatsLive({ servers: stack.natsUrl, user: core.user, password: Redacted.value(core.password) }, "bench")))
  const one = (index: number) =>
    Effect.gen(function*() {
      const composeId = ComposeId.make(v7())
      const command = RequestCompose.make({
        composeId, builder: "simulated", resolves: false, request: { distribution: "test-distro-1", images: [image("x86_64", 100)] }
      })
      const [first, ...rest] = yield* Effect.fromResult(ComposeDecider.decide(command, ComposeDecider.initial))
      yield* (yield* EventLog).append(composeRef(TenantId.make(`t-${index % tenants}`), composeId), 0, {
        messageId: composeId, at: Millis.make(Date.now()), actor: { kind: "requester", id: "bench" }, events: [first!, ...rest]
      })
    })
  await Effect.runPromise(Effect.forEach(numbers(count), one, { concurrency: 1024, discard: true }).pipe(Effect.provide(layer)))
}

function* numbers(count: number) {
  for (let index = 0; index < count; index++) yield index
}

const waitingAtLeast = async (operator: ReturnType<typeof client>, count: number) => {
  for (;;) {
    const { body: text, status } = await operator.send("GET", "/api/kiln/v1/pools").catch(() => ({ status: 0, body: "" }))
    const waiting = status === 200 ? waitingIn(text) : 0
    if (status === 200 && waiting >= count) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const waitingIn = (text: string): number => [...text.matchAll(/"waiting":(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0)

/** The one that was begun after this. */
const snapshotTaken = async (stack: Stack) => {
  const { core } = await Effect.runPromise(readNatsCredentials(join(stack.home, "nats", "nats-credentials.json")))
  const nc = await connect({ servers: stack.natsUrl, user: core.user, pass: Redacted.value(core.password) })
  const written = Promise.withResolvers<void>()
  let count = 0
  nc.subscribe("$O.snapshots.M.>", { callback: () => void (++count === 2 && written.resolve()) })
  await written.promise
  await nc.close()
}
