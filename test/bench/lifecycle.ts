import { fork } from "node:child_process"
import { join } from "node:path"
import { makeWorkerUtils } from "graphile-worker"
import { jetstreamManager } from "@nats-io/jetstream"
import { connect } from "@nats-io/transport-node"
import { Effect, Redacted } from "effect"
import postgres from "postgres"
import type { Stack } from "../../apps/standalone/stack.ts"
import { readNatsCredentials } from "../../infra/jetstream/from-environment.ts"
import { atLeast, type Bench, percentile, told } from "./bench.ts"
import { cpuSeconds } from "./cpu.ts"
import { client } from "./http-client.ts"
import { tokenOf, withStack } from "./stack.ts"

const inFlight = 32
const slots = 32
const composes = 1000
const rounds = 9
/** Of each side: before that, much of the time goes into compiling what is called often. */
const warmUp = 2000
/** A build and an upload. */
const jobsEach = 2

const body = JSON.stringify({ distribution: "test-distro-1", name: "bench", images: [{ architecture: "x86_64", type: "simulated", options: { bytes: 1 } }] })
const env = { KILN_SLOTS: JSON.stringify({ resolve: 1, build: slots, upload: slots }), KILN_ARCHITECTURES: JSON.stringify(["x86_64"]) }

interface Round {
  readonly kiln: number
  readonly graphile: number
  /** CPU seconds of each process, and of all of graphile-worker's side, while it was its turn. */
  readonly cpu: ReadonlyMap<string, number>
  readonly graphileCpu: number
}

/** Both on the same Postgres, one after the other: what is asked for, and the time until nothing of it is left to do. */
export const lifecycle: Bench = {
  name: "lifecycle",
  about: "composes a second through their whole life, against graphile-worker's jobs a second on the same Postgres",
  run: (say) =>
    withStack({ env }, async (stack) => {
      const sql = postgres(Redacted.value(stack.postgresUrl), { max: 1, onnotice: () => {} })
      const http = client(stack.url, await tokenOf(stack), inFlight)
      let succeeded = 0
      const kiln = async (count: number) => {
        await timesOver(count, async () => {
          const { body: answer, status } = await http.send("POST", "/api/kiln/v1/composes", body)
          if (status !== 202) throw new Error(`POST answered ${status}: ${answer}`)
        })
        succeeded += count
        await until(async () => {
          // As cheap a look as at the other side; counted only once nothing is left to do.
          const left = await sql`select 1 from kiln.composes where status <> 'succeeded' limit 1`
          if (left.length > 0) return false
          const [row] = await sql<Array<{ count: number }>>`select count(*)::int as count from kiln.composes where status = 'succeeded'`
          return row!.count >= succeeded
        })
      }
      const graphile = await startGraphile(Redacted.value(stack.postgresUrl))
      say("warming up")
      await kiln(warmUp)
      await graphile.work(warmUp)
      const measured: Array<Round> = []
      for (let round = 1; round <= rounds; round++) {
        const before = await cpuOf(stack)
        const kilnRate = await rate(composes, () => kiln(composes))
        const after = await cpuOf(stack)
        const graphileBefore = await graphile.cpu(stack)
        const graphileRate = await rate(composes, () => graphile.work(composes))
        const graphileCpu = (await graphile.cpu(stack)) - graphileBefore
        say(`round ${round}: ${Math.round(kilnRate)} composes a second; graphile-worker ${Math.round(graphileRate)} chains of ${jobsEach} jobs`)
        const cpu = new Map([...after].map(([name, seconds]) => [name, seconds - before.get(name)!]))
        measured.push({ kiln: kilnRate, graphile: graphileRate, cpu, graphileCpu })
      }
      const { entries, reports } = await messagesOf(stack)
      await graphile.stop()
      http.close()
      await sql.end()
      const middle = measured.toSorted((a, b) => a.kiln / a.graphile - b.kiln / b.graphile)[(rounds - 1) / 2]!
      const each = (seconds: (round: Round) => number) => percentile(measured.map((round) => (seconds(round) / composes) * 1000), 0.5)
      return [
        told("composes", middle.kiln, "composes/s"),
        told("entries in the log", entries / succeeded, "a compose"),
        told("messages of reports", reports / succeeded, "a compose"),
        told("jobs", middle.kiln * jobsEach, "jobs/s"),
        told("graphile-worker", middle.graphile * jobsEach, "jobs/s"),
        atLeast("ratio", middle.kiln / middle.graphile, 1, "jobs/s / graphile-worker's"),
        ...[...middle.cpu.keys()].map((name) => told(`CPU of ${name}`, each(({ cpu }) => cpu.get(name)!), "ms/compose")),
        told("CPU in all", each(({ cpu }) => [...cpu.values()].reduce((sum, seconds) => sum + seconds, 0)), "ms/compose"),
        told("CPU in all of graphile-worker's side", each(({ graphileCpu }) => graphileCpu), "ms/chain")
      ]
    })
}

/** How many messages the log and the workers' reports took. */
const messagesOf = async (stack: Stack) => {
  const { api, core } = await Effect.runPromise(readNatsCredentials(join(stack.home, "nats", "nats-credentials.json")))
  const countOf = async (stream: string, { password, user }: { readonly user: string; readonly password: Redacted.Redacted }) => {
    const nc = await connect({ servers: stack.natsUrl, user, pass: Redacted.value(password) })
    let count = 0
    for await (const { config, state } of (await jetstreamManager(nc)).streams.list()) {
      // Composes lie in streams of their period.
      if (config.name === stream || config.name.startsWith(`${stream}-`)) count += state.last_seq
    }
    await nc.close()
    return count
  }
  return { entries: await countOf("EVENTS", core), reports: await countOf("RESULTS", api) }
}

const timesOver = async (total: number, one: () => Promise<unknown>): Promise<void> => {
  let begun = 0
  await Promise.all(Array.from({ length: inFlight }, async () => {
    while (begun++ < total) await one()
  }))
}

const until = async (done: () => Promise<boolean>) => {
  while (!await done()) await new Promise((resolve) => setTimeout(resolve, 50))
}

const rate = async (count: number, work: () => Promise<void>): Promise<number> => {
  const start = performance.now()
  await work()
  return count / ((performance.now() - start) / 1000)
}

const cpuOf = async (stack: Stack) => {
  const seconds = new Map([["load", ownCpu()]])
  for (const [name, { pid }] of stack.processes) seconds.set(name, await cpuSeconds(pid))
  return seconds
}

const ownCpu = () => {
  const { system, user } = process.cpuUsage()
  return (system + user) / 1e6
}

const startGraphile = async (connectionString: string) => {
  const utils = await makeWorkerUtils({ connectionString, maxPoolSize: inFlight })
  await utils.migrate()
  const child = fork(join(import.meta.dirname, "graphile-runner.ts"), [connectionString, String(slots)], { stdio: ["ignore", "ignore", "inherit", "ipc"] })
  await new Promise((resolve) => child.once("message", resolve))
  const sql = postgres(connectionString, { max: 1, onnotice: () => {} })
  return {
    work: async (count: number) => {
      await timesOver(count, () => utils.addJob("build", { name: "bench" }))
      await until(async () => (await sql`select 1 from graphile_worker._private_jobs limit 1`).length === 0)
    },
    cpu: async ({ processes }: Stack) => ownCpu() + await cpuSeconds(child.pid!) + await cpuSeconds(processes.get("postgres")!.pid),
    stop: async () => {
      const ended = new Promise((resolve) => child.once("exit", resolve))
      child.kill("SIGTERM")
      await Promise.all([ended, utils.release(), sql.end()])
    }
  }
}
