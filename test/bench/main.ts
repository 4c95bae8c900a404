/** `npm run bench -- <name> [--json]`: starts what it needs, measures its peer or limit in the same run, cleans up. */
import { parseArgs } from "node:util"
import { accept } from "./accept.ts"
import { append } from "./append.ts"
import { asLine, asTable, type Bench } from "./bench.ts"
import { build } from "./build.ts"
import { depsolve } from "./depsolve.ts"
import { dispatch } from "./dispatch.ts"
import { history } from "./history.ts"
import { lag } from "./lag.ts"
import { lifecycle } from "./lifecycle.ts"
import { memory } from "./memory.ts"
import { queue } from "./queue.ts"
import { rebuild } from "./rebuild.ts"
import { sse } from "./sse.ts"
import { upload } from "./upload.ts"
import { webhooks } from "./webhooks.ts"

const benches: ReadonlyArray<Bench> = [build, depsolve, dispatch, accept, append, lifecycle, memory, queue, rebuild, history, lag, upload, webhooks, sse]

const help = `npm run bench -- <name …|all> [--json] [--pending N] [--events N] [--rows N] [--webhooks N] [--streams N] [--dib]

${benches.map(({ name, about }) => `  ${name.padEnd(10)} ${about}`).join("\n")}

Exit code 1 when a figure falls short of its goal, 2 for wrong usage.`

const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: "boolean" }, pending: { type: "string", default: "1000000" }, events: { type: "string", default: "2000000" }, rows: { type: "string", default: "10000000" }, webhooks: { type: "string", default: "10000" }, streams: { type: "string", default: "5000" }, dib: { type: "boolean", default: false }, help: { type: "boolean" } } })
const wanted = positionals.flatMap((name) => name === "all" ? benches : benches.filter((bench) => bench.name === name))
const [pending, events, rows, subscribed, streams] = [values.pending, values.events, values.rows, values.webhooks, values.streams].map(Number) as [number, number, number, number, number]
const isCount = (value: number) => Number.isSafeInteger(value) && value >= 0
const known = (name: string) => name === "all" || benches.some((bench) => bench.name === name)

if (values.help === true || wanted.length === 0 || !positionals.every(known) || ![pending, events, rows, subscribed, streams].every(isCount)) {
  process.stdout.write(`${help}\n`)
  process.exit(values.help === true ? 0 : 2)
}

let short = false
for (const bench of wanted) {
  const metrics = await bench.run((line) => process.stderr.write(`${bench.name}: ${line}\n`), { pending, events, rows, webhooks: subscribed, streams, dib: values.dib })
  short ||= metrics.some(({ holds }) => holds === false)
  process.stdout.write(values.json ? metrics.map((metric) => `${asLine(bench.name, metric)}\n`).join("") : `${asTable(bench.name, metrics)}\n`)
}
process.exit(short ? 1 : 0)
