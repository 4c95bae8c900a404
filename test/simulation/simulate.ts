/** One seed's run: load and faults, then peace until all is quiet, then a look at what is left. */
import { AccountDecider } from "../../domain/account.ts"
import { fold } from "../../domain/decider.ts"
import { HashMap } from "effect"
import { accountRef } from "../../domain/recorded.ts"
import { load } from "../../domain/scheduling/fleet.ts"
import { speakerKey } from "../../domain/work.ts"
import { must } from "./checks.ts"
import { Clients } from "./clients.ts"
import { disturb, heal, startAll } from "./faults.ts"
import { Violation } from "./violation.ts"
import { limited, weighty, World } from "./world.ts"

export interface Simulated {
  readonly seed: number
  readonly violation: string | undefined
  readonly hash: string
  readonly steps: number
  readonly composes: number
  readonly entries: number
  /** The last of what happened. */
  readonly last: ReadonlyArray<string>
}

const quietWithinMs = 20 * 60_000

export const simulate = (seed: number): Simulated => {
  const world = new World(seed)
  const violation = violationIn(() => run(world))
  const { checks, log, trace } = world
  return { seed, violation, hash: trace.hash, steps: trace.steps, composes: checks.composes.size, entries: log.entries.length, last: violation === undefined ? [] : trace.last }
}

const violationIn = (run: () => void): string | undefined => {
  try {
    run()
    return undefined
  } catch (error) {
    if (error instanceof Violation) return error.message
    return `a defect: ${(error as Error).stack}`
  }
}

export const run = (world: World): void => {
  const { clock, random } = world
  const clients = new Clients(world, "clients")
  startAll(world)
  clients.start()
  const loadMs = random.between(10_000, 60_000)
  clients.askFor(random.between(2, 12), loadMs)
  disturb(world)
  clock.runUntil(clock.now + loadMs)
  heal(world)
  const until = clock.now + quietWithinMs
  let left = whatIsLeft(world)
  for (; left.length > 0 && clock.now < until; left = whatIsLeft(world)) clock.runUntil(clock.now + 2000)
  must(left.length === 0, `not quiet: ${left.join("; ")}`)
  world.checks.countOnce()
  for (const [composeId, tenantId] of clients.promised) {
    must(world.checks.composes.get(composeId)?.tenantId === tenantId, `${composeId} was promised and is not in the log`)
  }
}

const whatIsLeft = (world: World): ReadonlyArray<string> => {
  const { checks, jobs, log, reports, schedulers, settler, workers } = world
  const scheduler = schedulers.find(({ isAlive }) => isAlive)!.desk.scheduler
  const left: Array<string> = []
  const count = (what: string, number: number) => {
    if (number !== 0) left.push(`${what}: ${number}`)
  }
  count("composes without an end", [...checks.composes.values()].filter(({ ended }) => !ended).length)
  // A dead worker's queue goes with it, later.
  const alive = new Set(workers.filter(({ isAlive }) => isAlive).map(({ key }) => key))
  count("jobs on queues", jobs.lying.filter(({ speaker }) => alive.has(speakerKey(speaker))).length)
  count("reports", reports.backlog)
  count("attempts in workers' hands", workers.reduce((sum, { attempts, isAlive }) => sum + (isAlive ? attempts.size : 0), 0))
  count("open jobs in the scheduler", scheduler.jobs.size)
  count("slots that count as busy", [...scheduler.fleet.workers()].reduce((sum, worker) => sum + load(worker), 0))
  count("jobs that wait in lanes", [...scheduler.queue.lanes.values()].reduce((sum, { waiting }) => sum + waiting, 0))
  count("slots taken by tenants", [...new Set([...checks.composes.values()].map(({ tenantId }) => tenantId))].reduce((sum, id) => sum + scheduler.queue.taken(id), 0))
  count("reservations that the settler knows", [...settler.open.entries()].length)
  if (left.length > 0) return left
  for (const tenantId of [weighty, limited]) {
    const account = fold(AccountDecider, log.read(accountRef(tenantId)).flatMap(({ events }) => events))
    count(`open reservations of ${tenantId}`, HashMap.size(account.open))
  }
  return left
}
