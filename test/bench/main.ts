/** `npm run bench -- <name> [--json]`: starts what it needs, measures its peer or limit in the same run, cleans up. */
import { parseArgs } from "node:util"
import { accept } from "./accept.ts"
import { append } from "./append.ts"
import { asLine, asTable, type Bench } from "./bench.ts"
import { build } from "./build.ts"
import { depsolve } from "./depsolve.ts"
import { dispatch } from "./dispatch.ts"
import { lifecycle } from "./lifecycle.ts"
import { memory } from "./memory.ts"
import { queue } from "./queue.ts"
import { upload } from "./upload.ts"

const benches: ReadonlyArray<Bench> = [build, depsolve, dispatch, accept, append, lifecycle, memory, queue, upload]

const help = `npm run bench -- <name …|all> [--json] [--pending N] [--dib]

${benches.map(({ name, about }) => `  ${name.padEnd(10)} ${about}`).join("\n")}

Exit code 1 when a figure falls short of its goal, 2 for wrong usage.`

const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: "boolean" }, pending: { type: "string", default: "1000000" }, dib: { type: "boolean", default: false }, help: { type: "boolean" } } })
const wanted = positionals.flatMap((name) => name === "all" ? benches : benches.filter((bench) => bench.name === name))
const pending = Number(values.pending)
const known = (name: string) => name === "all" || benches.some((bench) => bench.name === name)

if (values.help === true || wanted.length === 0 || !positionals.every(known) || !Number.isSafeInteger(pending) || pending < 0) {
  process.stdout.write(`${help}\n`)
  process.exit(values.help === true ? 0 : 2)
}

let short = false
for (const bench of wanted) {
  const metrics = await bench.run((line) => process.stderr.write(`${bench.name}: ${line}\n`), { pending, dib: values.dib })
  short ||= metrics.some(({ holds }) => holds === false)
  process.stdout.write(values.json ? metrics.map((metric) => `${asLine(bench.name, metric)}\n`).join("") : `${asTable(bench.name, metrics)}\n`)
}
process.exit(short ? 1 : 0)
