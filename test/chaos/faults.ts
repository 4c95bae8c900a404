/** Carries out what the plan says, one fault after the other. */
import { Effect } from "effect"
import type { Stack } from "../../apps/standalone/stack.ts"
import { sleep } from "./clients.ts"
import type { CutOff } from "./cut-off.ts"
import { isNode, type Kill } from "./plan.ts"

export interface Faults {
  readonly kills: ReadonlyMap<string, number>
  readonly cuts: ReadonlyMap<string, number>
  /** Milliseconds from the longest return of a node to the moment the cluster had all copies again. */
  readonly wholeAgain: number
}

/** A process is killed once a life: one that is not back yet is waited for. Of a cluster's nodes one at a time is away. */
export const carryOut = async (stack: Stack, plan: ReadonlyArray<Kill>, cutOff: CutOff | undefined, say: (line: string) => void): Promise<Faults> => {
  const [kills, cuts, life] = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()]
  const count = (times: Map<string, number>, name: string) => times.set(name, (times.get(name) ?? 0) + 1)
  let away: Promise<void> = Promise.resolve()
  let wholeAgain = 0

  const back = async (name: string) => {
    const process = stack.processes.get(name)!
    while (process.starts <= (life.get(name) ?? 0) || !isAlive(process.pid)) await sleep(10)
  }
  const whole = async (name: string) => {
    const since = performance.now()
    await Effect.runPromise(Effect.timeout(stack.natsIsWhole, "2 minutes")).catch(() => Promise.reject(new Error(`the cluster was not whole two minutes after ${name} was back`)))
    const took = performance.now() - since
    wholeAgain = Math.max(wholeAgain, took)
    say(`${name} is back; the cluster was whole ${(took / 1000).toFixed(1)} s later`)
  }
  const kill = async (name: string) => {
    await back(name)
    const process = stack.processes.get(name)!
    life.set(name, process.starts)
    count(kills, name)
    await Effect.runPromise(process.kill("SIGKILL"))
    if (isNode(name)) away = back(name).then(() => whole(name))
  }
  const cut = async (name: string, millis: number, { cut, mend }: CutOff) => {
    await back(name)
    count(cuts, name)
    await cut(stack, name)
    away = sleep(millis).then(() => mend(stack, name)).then(() => whole(name))
  }

  for (const [index, { after, cutFor, name }] of plan.entries()) {
    await sleep(after)
    if (isNode(name)) await away
    if (cutFor === undefined || cutOff === undefined) await kill(name)
    else await cut(name, cutFor, cutOff)
    // It is awaited before the next such fault, or at the end.
    away.catch(() => {})
    say(`fault ${index + 1} of ${plan.length}: ${name} ${cutFor === undefined ? "killed" : `cut off for ${(cutFor / 1000).toFixed(1)} s`}`)
  }
  await away
  return { kills, cuts, wholeAgain }
}

const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
