/** `npm run simulate -- [--seeds N] [--from S] [--seed S] [--json]`: the domain and the scheduler under a clock of our own, seed after seed. */
import { availableParallelism } from "node:os"
import { parseArgs } from "node:util"
import { Worker } from "node:worker_threads"
import { type Simulated, simulate } from "./simulate.ts"

const help = `npm run simulate -- [--seeds N] [--from S] [--seed S] [--json]

  --seeds N   how many seeds (1000)
  --from S    the first of them (1)
  --seed S    this one alone, with the last of its steps
  --json      a line for each metric, and for each seed that failed

Exit code 1 when something was that must never be, 2 for wrong usage.`

const number = { type: "string" } as const
const flag = { type: "boolean" } as const
const { values } = parseArgs({ options: { seeds: number, from: number, seed: number, json: flag, help: flag } })
const whole = (name: "seeds" | "from" | "seed", otherwise: number): number => {
  const given = Number(values[name] ?? otherwise)
  if (Number.isSafeInteger(given) && given >= 0) return given
  process.stderr.write(`--${name} takes a whole number\n\n${help}\n`)
  process.exit(2)
}
if (values.help === true) {
  process.stdout.write(`${help}\n`)
  process.exit(0)
}

const single = values.seed === undefined ? undefined : whole("seed", 0)
const from = single ?? whole("from", 1)
const seeds = single === undefined ? whole("seeds", 1000) : 1

interface Sum {
  done: number
  steps: number
  composes: number
  entries: number
}

const begun = performance.now()
const sum: Sum = { done: 0, steps: 0, composes: 0, entries: 0 }
const failed: Array<Simulated> = []
const take = (result: Simulated) => {
  sum.done += 1
  sum.steps += result.steps
  sum.composes += result.composes
  sum.entries += result.entries
  if (result.violation !== undefined) failed.push(result)
}

if (seeds < 100) for (let seed = from; seed < from + seeds; seed++) take(simulate(seed))
else {
  const threads = Math.min(availableParallelism(), 8)
  await Promise.all(Array.from({ length: threads }, (_, thread) => new Promise<void>((resolve, reject) => {
    const worker = new Worker(new URL("./seeds.ts", import.meta.url), { workerData: { from: from + thread, until: from + seeds, step: threads } })
    worker.on("message", take).on("error", reject).on("exit", () => resolve())
  })))
}
const seconds = (performance.now() - begun) / 1000

const say = (line: string) => process.stdout.write(`${line}\n`)
for (const { hash, last, seed, violation } of failed.sort((one, other) => one.seed - other.seed).slice(0, 10)) {
  if (values.json === true) say(JSON.stringify({ simulation: "failed", seed, hash, violation, last }))
  else say(`seed ${seed}: ${violation}\n${last.map((step) => `  ${step}`).join("\n")}\n  again with: npm run simulate -- --seed ${seed}\n`)
}
const metrics = {
  failed: failed.length, seeds: sum.done, composes: sum.composes, decisions: sum.entries, steps: sum.steps, seconds: Math.round(seconds * 10) / 10,
  "ms a seed": Math.round(seconds * 1e4 / Math.max(1, sum.done)) / 10,
  "ms of CPU a seed": Math.round(process.cpuUsage().user / 100 / Math.max(1, sum.done)) / 10
}
for (const [metric, value] of Object.entries(metrics)) say(values.json === true ? JSON.stringify({ simulation: metric, value }) : `${String(value).padStart(10)}  ${metric}`)
if (single !== undefined) {
  const { hash } = simulate(single)
  say(values.json === true ? JSON.stringify({ simulation: "hash", value: hash }) : `${hash.padStart(10)}  hash of its steps`)
}
process.exit(failed.length === 0 && sum.done === seeds ? 0 : 1)
