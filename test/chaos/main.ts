/** `npm run chaos -- --kills N [--seed S] [--json]`: everything Kiln is made of, killed at random under load, then looked at. */
import { parseArgs } from "node:util"
import { asLine, asTable, type Metric, told } from "../bench/bench.ts"
import { withStack } from "../bench/stack.ts"
import { chaos, type ChaosResult, lostAfter } from "./chaos.ts"
import { type CutOff, freezing } from "./cut-off.ts"
import { keep } from "./keep.ts"
import { againInside, layNetwork, whyNoNetwork } from "./network.ts"
import { usualQuietMs } from "./rest.ts"

const restAtMostMs = 30 * 60_000
const help = `npm run chaos -- [--kills N] [--seed S] [--nats-nodes 3 [--cut-off]] [--json]

  --kills N      how many processes are killed with SIGKILL, one by one or two at once (100)
  --seed S       draws who dies when, and what tenants ask for; a new one unless given
  --pace MS      milliseconds from kill to kill, on average (2500)
  --open N       how many composes may be open; from there on tenants wait for ends, and ask once in 5 s each (150)
  --workers N    how many workers (2)
  --nats-nodes N 1, or 3 for a cluster, of which one node at a time is away (1)
  --cut-off      half of the faults of a cluster's nodes cut it off for 5 to 20 s instead: in network namespaces where
                 the machine has them, else frozen with SIGSTOP
  --freeze       with --cut-off: freeze, whatever the machine has
  --not-durable  servers do not wait for the disk
  --all-faults   every fault, not the first ten of each kind
  --json         a line for each metric

After the last kill it waits for rest while anything moves: until nothing has for ${usualQuietMs / 1000} s, at most ${restAtMostMs / 60_000} minutes.
Exit code 1 when anything was lost, doubled, left lying or wrong, 2 for wrong usage.`

const number = { type: "string" } as const
const flag = { type: "boolean" } as const
const { values } = parseArgs({
  options: { kills: number, seed: number, pace: number, open: number, workers: number, "nats-nodes": number, "cut-off": flag, freeze: flag, "in-own-network": flag, "not-durable": flag, "all-faults": flag, json: flag, help: flag }
})
const wrong = (why: string): never => {
  process.stderr.write(`${why}\n\n${help}\n`)
  process.exit(2)
}
const whole = (name: "kills" | "seed" | "pace" | "open" | "workers" | "nats-nodes", otherwise: number): number => {
  const given = Number(values[name] ?? otherwise)
  return Number.isSafeInteger(given) && given >= 0 ? given : wrong(`--${name} takes a whole number`)
}
if (values.help === true) {
  process.stdout.write(`${help}\n`)
  process.exit(0)
}

const seed = whole("seed", Math.floor(Math.random() * 2 ** 31))
const kills = whole("kills", 100)
const paceMs = whole("pace", 2500)
const openAtMost = Math.max(1, whole("open", 150))
const workers = Math.max(1, whole("workers", 2))
const nodes = whole("nats-nodes", 1)
const natsNodes = nodes === 1 || nodes === 3 ? nodes : wrong("--nats-nodes takes 1 or 3")
if (values["cut-off"] === true && natsNodes === 1) wrong("--cut-off takes a cluster: --nats-nodes 3")
/** With the time in UTC, as logs have it. */
const say = (line: string) => process.stderr.write(`chaos ${new Date().toISOString().slice(11, 23)}: ${line}\n`)

const metricsOf = ({ composes, cuts, deaths, entries, givenUp, kills, lostAttempts, open, outages, refused, seconds, slowest, tries, verdict, wholeAgain }: ChaosResult): ReadonlyArray<Metric> => [
  ...Object.entries({ ...verdict, refused }).map(([metric, faults]): Metric =>
    ({ metric, value: faults.length, unit: "faults", goal: "0", holds: faults.length === 0 })),
  told("seed", seed, ""),
  told("kills", [...kills.values()].reduce((sum, count) => sum + count, 0), "kills"),
  ...[...kills].sort().map(([name, count]) => told(`kills of ${name}`, count, "kills")),
  ...[...cuts].sort().map(([name, count]) => told(`cuts of ${name}`, count, "cuts")),
  told("composes", composes, "composes"),
  told("most composes open at once", open.most, "composes"),
  told("composes open at the beginning of the rest", open.beforeRest, "composes"),
  told("decisions in the log", entries, "decisions"),
  told("attempts lost and begun anew", lostAttempts, "attempts"),
  told("composes given up after three losses", givenUp, "composes"),
  told("requests answered", tries.answered, "requests"),
  told("requests failed and sent again", tries.failed, "requests"),
  told("processes ended by themselves", deaths, "processes"),
  told("longest wait for a compose to be accepted", outages.asking / 1000, "s"),
  told("longest time from the first try to the compose's end", slowest / 1000, "s"),
  told("longest time until a cluster with a node back was whole", wholeAgain / 1000, "s"),
  told("longest wait for a list", outages.listing / 1000, "s"),
  told("time under fire", seconds.underFire, "s"),
  told("time to rest", seconds.toRest, "s")
]

const cutOffHere = async (): Promise<CutOff | undefined> => {
  if (values["cut-off"] !== true) return undefined
  const why = values.freeze === true ? "as asked" : values["in-own-network"] === true ? undefined : whyNoNetwork()
  if (why !== undefined) say(`nodes are frozen: ${why}`)
  if (why !== undefined) return freezing
  if (values["in-own-network"] === true) return layNetwork()
  return process.exit(await againInside([...process.argv.slice(1), "--in-own-network", ...values.seed === undefined ? ["--seed", String(seed)] : []]))
}

const cutOff = await cutOffHere()
say(`seed ${seed}, ${kills} kills, ${natsNodes} NATS node${natsNodes === 1 ? "" : "s"}${cutOff === undefined ? "" : `, cut off by having one ${cutOff.how}`}`)
const env = { KILN_LOST_AFTER: lostAfter, KILN_SLOTS: JSON.stringify({ resolve: 2, build: 4, upload: 4 }) }
const placed = cutOff?.places !== undefined && { natsPlaces: cutOff.places }
const faultsOf = ({ refused, verdict }: ChaosResult) =>
  Object.entries({ ...verdict, refused }).map(([kind, faults]) => faults.map((fault) => `${kind}: ${fault}`))
const result = await withStack({ workers, natsNodes, ...placed, durable: values["not-durable"] !== true, env, say }, async (stack) => {
  const tenants = ["acme", "birch", "cedar", "dune"]
  const found = await chaos(stack, { seed, kills, paceMs, openAtMost, tenants, restMs: restAtMostMs, say, ...cutOff !== undefined && { cutOff } })
  if (!found.well) say(`what the processes said, and the log, are kept in ${await keep(stack, found.evidence, faultsOf(found).flat())}`)
  return found
})

for (const faults of faultsOf(result)) {
  for (const fault of values["all-faults"] === true ? faults : faults.slice(0, 10)) say(fault)
}
const metrics = metricsOf(result)
process.stdout.write(values.json === true ? metrics.map((metric) => `${asLine("chaos", metric)}\n`).join("") : `${asTable("chaos", metrics)}\n`)
if (!result.well) say(`again with: npm run chaos -- --kills ${kills} --seed ${seed} --pace ${paceMs} --open ${openAtMost} --workers ${workers} --nats-nodes ${natsNodes}${["cut-off", "freeze", "not-durable"].filter((name) => values[name as "freeze"] === true).map((name) => ` --${name}`).join("")}`)
process.exit(result.well ? 0 : 1)
