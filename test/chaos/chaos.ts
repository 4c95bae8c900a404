/** One run: tenants ask, processes die, and in the end everything is looked at. */
import { Effect } from "effect"
import type { Stack } from "../../apps/standalone/stack.ts"
import { keepBook } from "./book.ts"
import { startClients, type Clients } from "./clients.ts"
import type { CutOff } from "./cut-off.ts"
import { carryOut, type Faults } from "./faults.ts"
import { killsOf } from "./plan.ts"
import { restOf, usualQuietMs } from "./rest.ts"
import { slowestOf } from "./slowest.ts"
import { type Evidence, givenUp, isWell, type Verdict, verdictOf } from "./verdict.ts"

export interface ChaosOptions {
  readonly seed: number
  readonly kills: number
  /** Milliseconds from kill to kill, on average; more where a process is not yet back. */
  readonly paceMs: number
  readonly tenants: ReadonlyArray<string>
  /** Which processes are in for it; all of them by default. */
  readonly victims?: ReadonlyArray<string>
  /** How long everything may take at most to come to rest after the last kill. */
  readonly restMs: number
  /** For how long nothing may move before what is open counts as stuck. */
  readonly quietMs?: number
  /** How many composes may be open before tenants wait for ends. */
  readonly openAtMost?: number
  /** How nodes of a cluster are cut off; without it they are only killed. */
  readonly cutOff?: CutOff
  readonly say?: (line: string) => void
}

export interface ChaosResult extends Pick<Clients, "outages" | "tries">, Faults {
  readonly verdict: Verdict
  readonly evidence: Evidence
  readonly refused: ReadonlyArray<string>
  readonly well: boolean
  /** Processes that ended though nobody had killed them. */
  readonly deaths: number
  readonly composes: number
  /** Composes open: the most at once, and when the last kill was through. */
  readonly open: { readonly most: number; readonly beforeRest: number }
  readonly entries: number
  /** Attempts that were lost with their worker and begun anew. */
  readonly lostAttempts: number
  /** Composes that failed by rule: a job's worker vanished three times under it. */
  readonly givenUp: number
  /** Milliseconds from a tenant's first try to the end of its compose. */
  readonly slowest: number
  readonly seconds: { readonly underFire: number; readonly toRest: number }
}

const usuallyOpen = 150

/** Silence after which a worker counts as gone, for the environment of the stack. */
export const lostAfter = "6 seconds"

export const chaos = async (stack: Stack, options: ChaosOptions): Promise<ChaosResult> => {
  const { cutOff, kills: count, openAtMost = usuallyOpen, paceMs, quietMs = usualQuietMs, restMs, say = () => {}, seed, tenants } = options
  const victims = options.victims ?? [...stack.processes.keys()].sort()
  const reading = new AbortController()
  const book = keepBook(stack, reading.signal, say)
  const token = (tenant: string) => Effect.runPromise(stack.token(tenant, "requester"))
  const clients = await startClients({ url: stack.url, token, isCrowded: () => book.open >= openAtMost }, seed, tenants)
  const begun = performance.now()
  const faults = await carryOut(stack, killsOf(seed, victims, count, paceMs, cutOff !== undefined), cutOff, say)
  const underFire = performance.now() - begun
  await clients.stop()
  say(`${clients.promised.length} composes were asked for; waiting for rest`)
  const { evidence, leftAtFirst, tookMs } = await restOf(stack, book, clients.promised, { quietMs, atMostMs: restMs }, say)
  reading.abort()
  const verdict = verdictOf(evidence)
  const events = evidence.log.flatMap((entry) => entry._tag === "Recorded" && entry.aggregate === "compose" ? entry.events : [])
  return {
    verdict, evidence, ...faults,
    well: isWell(verdict) && clients.refused.length === 0,
    refused: clients.refused,
    outages: clients.outages,
    tries: clients.tries,
    deaths: [...stack.processes.values()].reduce((sum, { name, starts }) => sum + starts - 1 - (faults.kills.get(name) ?? 0), 0),
    composes: clients.promised.length,
    open: { most: book.peak, beforeRest: leftAtFirst },
    entries: evidence.log.length,
    givenUp: givenUp(evidence.log).length,
    slowest: slowestOf(clients.promised, evidence.log),
    lostAttempts: events.filter(({ _tag }) => _tag === "JobLost").length,
    seconds: { underFire: underFire / 1000, toRest: tookMs / 1000 }
  }
}
