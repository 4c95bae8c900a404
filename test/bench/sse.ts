import { request as httpRequest } from "node:http"
import { join } from "node:path"
import { connect } from "@nats-io/transport-node"
import { Effect, Layer, Redacted } from "effect"
import { JobStarted } from "../../domain/compose-events.ts"
import { AttemptToken, ComposeId, JobId, Millis, TenantId, WorkerId } from "../../domain/ids.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { composeRef } from "../../domain/recorded.ts"
import { EventLogJetStream } from "../../infra/jetstream/event-log.ts"
import { readNatsCredentials } from "../../infra/jetstream/from-environment.ts"
import { CoreNatsLive } from "../../infra/jetstream/nats.ts"
import type { Stack } from "../../apps/standalone/stack.ts"
import { atMost, type Bench, percentile, told } from "./bench.ts"
import { client } from "./http-client.ts"
import { rss } from "./rss.ts"
import { tokenOf, withStack } from "./stack.ts"

const tenants = Array.from({ length: 50 }, (_, n) => TenantId.make(`bench-${n}`))
const seconds = 20
/** Batches of lines a second, of composes by turns. */
const linesPerSecond = 500
/** Decisions a second, of tenants by turns. */
const eventsPerSecond = 20

const body = JSON.stringify({ distribution: "test-distro-1", name: "bench", images: [{ architecture: "x86_64", type: "simulated" }] })
const job = JobId.make("0-build")
const worker = WorkerId.make("w1")
const token = AttemptToken.make("t".repeat(24))

interface Compose {
  readonly tenant: TenantId
  readonly id: ComposeId
  revision: number
  /** How many follow it. */
  readers: number
}

/** Half of the readers follow a tenant; of the others, nine in ten a compose of their own, and the rest one that is popular. */
export const sse: Bench = {
  name: "sse",
  about: "open event streams on one gateway, of composes and of tenants (--streams N): its memory, and from a worker's line to its reader",
  run: (say, { streams }) =>
    withStack({ processes: ["gateway", "projector"], workers: 0 }, async (stack) => {
      const gateway = stack.processes.get("gateway")!
      const tokens = new Map(await Promise.all(tenants.map(async (tenant) => [tenant, await tokenOf(stack, tenant)] as const)))
      const http = new Map(tenants.map((tenant) => [tenant, client(stack.url, tokens.get(tenant)!, 1)]))
      const log = await logOf(stack)
      const ask = async (tenant: TenantId): Promise<Compose> => {
        const answer = await http.get(tenant)!.send("POST", "/api/kiln/v1/composes", body)
        if (answer.status !== 202) throw new Error(`POST answered ${answer.status}: ${answer.body}`)
        const compose = { tenant, id: ComposeId.make((JSON.parse(answer.body) as { id: string }).id), revision: 1, readers: 0 }
        await log.start(compose)
        return compose
      }
      const own = Math.round(streams * 0.45)
      say(`asking for ${own + 1 + tenants.length} composes`)
      const composes = await inTurn(Array.from({ length: own + 1 }, (_, n) => tenants[n % tenants.length]!), ask)
      const tickers = await inTurn(tenants, ask)
      const before = await rss(gateway.pid)

      const lags = { line: [] as Array<number>, event: [] as Array<number> }
      const sizes = new Map<TenantId, number>()
      say(`opening ${streams} streams; the gateway has ${Math.round(before)} MiB`)
      const popular = composes[own]!
      const closers = await inTurn(Array.from({ length: streams }, (_, n) => n), async (n) => {
        if (n % 2 === 0) {
          const tenant = tenants[(n / 2) % tenants.length]!
          sizes.set(tenant, (sizes.get(tenant) ?? 0) + 1)
          return follow(stack.url, "/events", tokens.get(tenant)!, eventTimes, lags.event)
        }
        const compose = (n - 1) / 2 < own ? composes[(n - 1) / 2]! : popular
        compose.readers += 1
        return follow(stack.url, `/composes/${compose.id}/events`, tokens.get(compose.tenant)!, lineTimes, lags.line)
      })
      await sleep(3000)
      let most = await rss(gateway.pid)
      say(`${streams} streams are open; the gateway has ${Math.round(most)} MiB`)
      const idle = most

      const print = await printer(stack)
      const expected = { line: 0, event: 0 }
      lags.event.length = 0
      const begun = performance.now()
      let [printed, decided] = [0, 0]
      const decisions: Array<Promise<void>> = []
      while (performance.now() - begun < seconds * 1000) {
        const passed = (performance.now() - begun) / 1000
        for (; printed < passed * linesPerSecond; printed++) {
          const compose = printed % 100 === 0 ? popular : composes[printed % composes.length]!
          expected.line += compose.readers
          print.line(compose)
        }
        for (; decided < passed * eventsPerSecond; decided++) {
          const ticker = tickers[decided % tickers.length]!
          expected.event += sizes.get(ticker.tenant) ?? 0
          decisions.push(log.start(ticker))
        }
        await sleep(5)
        if (printed % 50 === 0) most = Math.max(most, await rss(gateway.pid))
      }
      await Promise.all(decisions)
      for (let left = 100; left > 0 && (lags.line.length < expected.line || lags.event.length < expected.event); left--) await sleep(100)
      most = Math.max(most, await rss(gateway.pid))
      if (lags.line.length !== expected.line || lags.event.length !== expected.event) {
        throw new Error(`readers were told of ${lags.line.length} lines and ${lags.event.length} events, not of ${expected.line} and ${expected.event}`)
      }
      closers.forEach((close) => close())
      http.forEach(({ close }) => close())
      await Promise.all([print.close(), log.close()])
      return [
        told("streams", streams, "open"),
        told("gateway before", before, "MiB"),
        told("a stream, at rest", ((idle - before) * 1024) / streams, "KiB"),
        atMost("gateway", most, 300, "MiB"),
        told("deliveries", (expected.line + expected.event) / seconds, "a second"),
        told("line to reader p50", percentile(lags.line, 0.5), "ms"),
        atMost("line to reader p99", percentile(lags.line, 0.99), 1000, "ms"),
        told("decision to reader p99", percentile(lags.event, 0.99), "ms")
      ]
    })
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Some at once, answers in order. */
const inTurn = async <A, B>(all: ReadonlyArray<A>, one: (each: A) => Promise<B>): Promise<ReadonlyArray<B>> => {
  const answers: Array<B> = []
  let next = 0
  await Promise.all(Array.from({ length: 50 }, async () => {
    while (next < all.length) {
      const at = next++
      answers[at] = await one(all[at]!)
    }
  }))
  return answers
}

/** When what is told was said, by this machine's clock. */
const lineTimes = /"text":"said at (\d+)"/g
const eventTimes = /"time":"([^"]+)"/g
const timeOf = (text: string) => /^\d+$/.test(text) ? Number(text) : Date.parse(text)

/** Answers when the stream is open. */
const follow = (url: string, path: string, bearer: string, times: RegExp, lags: Array<number>): Promise<() => void> =>
  new Promise((resolve, reject) => {
    const asking = httpRequest(`${url}/api/kiln/v1${path}`, { headers: { authorization: `Bearer ${bearer}` }, agent: false }, (response) => {
      if (response.statusCode !== 200) return reject(new Error(`${path} answered ${response.statusCode}`))
      let text = ""
      response.setEncoding("utf8").on("error", () => {}).on("data", (part: string) => {
        const now = Date.now()
        text += part
        const whole = text.lastIndexOf("\n\n") + 2
        for (const [, said] of text.slice(0, whole).matchAll(times)) lags.push(now - timeOf(said!))
        text = text.slice(whole)
      })
      response.once("data", () => resolve(() => asking.destroy()))
    })
    asking.on("error", reject).end()
  })

const credentialsOf = (stack: Stack) => Effect.runPromise(readNatsCredentials(join(stack.home, "nats", "nats-credentials.json")))

/** Starts the build of a compose, again and again if it has to. */
const logOf = async (stack: Stack) => {
  const { core } = await credentialsOf(stack)
  const scope = Promise.withResolvers<void>()
  const log = await new Promise<EventLog["Service"]>((resolve, reject) => {
    Effect.runPromise(Effect.flatMap(EventLog, (opened) => Effect.andThen(Effect.sync(() => resolve(opened)), Effect.promise(() => scope.promise))).pipe(
      Effect.provide(EventLogJetStream({ partitions: 1, replicas: 1, period: "month" }).pipe(
        Layer.provide(CoreNatsLive({ servers: stack.natsUrl, user: core.user, password: Redacted.value(core.password) }, "bench")))))).catch(reject)
  })
  return {
    start: async (compose: Compose) => {
      const { id, revision, tenant } = compose
      compose.revision += 1
      await Effect.runPromise(log.append(composeRef(tenant, id), revision, {
        messageId: `start-${revision}`, at: Millis.make(Date.now()), actor: { kind: "worker", id: worker },
        events: [JobStarted.make({ composeId: id, jobId: job, attempt: 1, worker, token })]
      }))
    },
    close: async () => scope.resolve()
  }
}

/** Speaks as a worker does. */
const printer = async (stack: Stack) => {
  const { api } = await credentialsOf(stack)
  const nc = await connect({ servers: stack.natsUrl, user: api.user, pass: Redacted.value(api.password) })
  return {
    line: ({ id, tenant }: Compose) => {
      const now = Date.now()
      nc.publish(`worker.default.w1.log.${tenant}.${id}.${job}`, JSON.stringify({ attempt: 1, token, at: now, lines: [`said at ${now}`] }))
    },
    close: () => nc.close()
  }
}
