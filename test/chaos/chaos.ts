/** One run: tenants ask, processes die, and in the end everything is looked at. */
import { Effect } from "effect"
import type { Stack } from "../../apps/standalone/stack.ts"
import { startClients, type Clients } from "./clients.ts"
import type { CutOff } from "./cut-off.ts"
import { gather } from "./evidence.ts"
import { carryOut, type Faults } from "./faults.ts"
import { killsOf } from "./plan.ts"
import { slowestOf } from "./slowest.ts"
import { givenUp, isWell, type Verdict, verdictOf } from "./verdict.ts"

export interface ChaosOptions {
  readonly seed: number
  readonly kills: number
  /** Milliseconds from kill to kill, on average; more where a process is not yet back. */
  readonly paceMs: number
  readonly tenants: ReadonlyArray<string>
  /** Which processes are in for it; all of them by default. */
  readonly victims?: ReadonlyArray<string>
  /** How long everything may take to come to rest after the last kill. */
  readonly restMs: number
  /** How nodes of a cluster are cut off; without it they are only killed. */
  readonly cutOff?: CutOff
  readonly say?: (line: string) => void
}

export interface ChaosResult extends Pick<Clients, "outages" | "tries">, Faults {
  readonly verdict: Verdict
  readonly refused: ReadonlyArray<string>
  readonly well: boolean
  /** Processes that ended though nobody had killed them. */
  readonly deaths: number
  readonly composes: number
  readonly entries: number
  /** Attempts that were lost with their worker and begun anew. */
  readonly lostAttempts: number
  /** Composes that failed by rule: a job's worker vanished three times under it. */
  readonly givenUp: number
  /** Milliseconds from a tenant's first try to the end of its compose. */
  readonly slowest: number
  readonly seconds: { readonly underFire: number; readonly toRest: number }
}

/** Silence after which a worker counts as gone, for the environment of the stack. */
export const lostAfter = "6 seconds"

export const chaos = async (stack: Stack, options: ChaosOptions): Promise<ChaosResult> => {
  const { cutOff, kills: count, paceMs, restMs, say = () => {}, seed, tenants, victims = [...stack.processes.keys()].sort() } = options
  const clients = await startClients({ url: stack.url, token: (tenant) => Effect.runPromise(stack.token(tenant, "requester")) }, seed, tenants)
  const begun = performance.now()
  const faults = await carryOut(stack, killsOf(seed, victims, count, paceMs, cutOff !== undefined), cutOff, say)
  const underFire = performance.now() - begun
  await clients.stop()
  say(`${clients.promised.length} composes were asked for; waiting for rest`)
  const quiet = performance.now()
  let said = ""
  const evidence = await gather(stack, clients.promised, (found) => {
    const { rows, stuck } = verdictOf(found)
    const [first = ""] = [...stuck, ...rows]
    if (first !== said && first !== "") say(`not at rest after ${Math.round((performance.now() - quiet) / 1000)} s: ${first}`)
    said = first
    return first === ""
  }, restMs)
  const verdict = verdictOf(evidence)
  const events = evidence.log.flatMap((entry) => entry._tag === "Recorded" && entry.aggregate === "compose" ? entry.events : [])
  return {
    verdict, ...faults,
    well: isWell(verdict) && clients.refused.length === 0,
    refused: clients.refused,
    outages: clients.outages,
    tries: clients.tries,
    deaths: [...stack.processes.values()].reduce((sum, { name, starts }) => sum + starts - 1 - (faults.kills.get(name) ?? 0), 0),
    composes: clients.promised.length,
    entries: evidence.log.length,
    givenUp: givenUp(evidence.log).length,
    slowest: slowestOf(clients.promised, evidence.log),
    lostAttempts: events.filter(({ _tag }) => _tag === "JobLost").length,
    seconds: { underFire: underFire / 1000, toRest: (performance.now() - quiet) / 1000 }
  }
}
