/** One run: tenants ask, processes die, and in the end everything is looked at. */
import { Effect } from "effect"
import type { Stack } from "../../apps/standalone/stack.ts"
import { sleep, startClients, type Clients } from "./clients.ts"
import { gather } from "./evidence.ts"
import { type Kill, killsOf } from "./plan.ts"
import { givenUp, isWell, type Verdict, verdictOf } from "./verdict.ts"

export interface ChaosOptions {
  readonly seed: number
  readonly kills: number
  /** Milliseconds from kill to kill, on average; more where a process is not yet back. */
  readonly paceMs: number
  readonly tenants: ReadonlyArray<string>
  /** How long everything may take to come to rest after the last kill. */
  readonly restMs: number
  readonly say?: (line: string) => void
}

export interface ChaosResult extends Pick<Clients, "outages" | "tries"> {
  readonly verdict: Verdict
  readonly refused: ReadonlyArray<string>
  readonly well: boolean
  readonly kills: ReadonlyMap<string, number>
  /** Processes that ended though nobody had killed them. */
  readonly deaths: number
  readonly composes: number
  readonly entries: number
  /** Attempts that were lost with their worker and begun anew. */
  readonly lostAttempts: number
  /** Composes that failed by rule: a job's worker vanished three times under it. */
  readonly givenUp: number
  readonly seconds: { readonly underFire: number; readonly toRest: number }
}

/** Silence after which a worker counts as gone, for the environment of the stack. */
export const lostAfter = "6 seconds"

export const chaos = async (stack: Stack, options: ChaosOptions): Promise<ChaosResult> => {
  const { kills: count, paceMs, restMs, say = () => {}, seed, tenants } = options
  const clients = await startClients({ url: stack.url, token: (tenant) => Effect.runPromise(stack.token(tenant, "requester")) }, seed, tenants)
  const begun = performance.now()
  const kills = await carryOut(stack, killsOf(seed, [...stack.processes.keys()].sort(), count, paceMs), say)
  const underFire = performance.now() - begun
  await clients.stop()
  say(`${clients.promised.length} composes were asked for; waiting for rest`)
  const quiet = performance.now()
  const evidence = await gather(stack, clients.promised, (found) => {
    const { rows, stuck } = verdictOf(found)
    if (stuck.length + rows.length > 0) say(`not at rest after ${Math.round((performance.now() - quiet) / 1000)} s: ${[...stuck, ...rows][0]}`)
    return stuck.length + rows.length === 0
  }, restMs)
  const verdict = verdictOf(evidence)
  const events = evidence.log.flatMap((entry) => entry._tag === "Recorded" ? entry.events : [])
  return {
    verdict, kills,
    well: isWell(verdict) && clients.refused.length === 0,
    refused: clients.refused,
    outages: clients.outages,
    tries: clients.tries,
    deaths: [...stack.processes.values()].reduce((sum, { name, starts }) => sum + starts - 1 - (kills.get(name) ?? 0), 0),
    composes: clients.promised.length,
    entries: evidence.log.length,
    givenUp: givenUp(evidence.log).length,
    lostAttempts: events.filter(({ _tag }) => _tag === "JobLost").length,
    seconds: { underFire: underFire / 1000, toRest: (performance.now() - quiet) / 1000 }
  }
}

/** A process is killed once a life: one that is not back yet is waited for. */
const carryOut = async (stack: Stack, kills: ReadonlyArray<Kill>, say: (line: string) => void): Promise<ReadonlyMap<string, number>> => {
  const [times, life] = [new Map<string, number>(), new Map<string, number>()]
  for (const [index, { after, name }] of kills.entries()) {
    await sleep(after)
    const process = stack.processes.get(name)!
    while (process.starts <= (life.get(name) ?? 0) || !isAlive(process.pid)) await sleep(10)
    life.set(name, process.starts)
    times.set(name, (times.get(name) ?? 0) + 1)
    await Effect.runPromise(process.kill("SIGKILL"))
    say(`kill ${index + 1} of ${kills.length}: ${name}`)
  }
  return times
}

const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
