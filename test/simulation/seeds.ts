/** One thread's share of the seeds. */
import { parentPort, workerData } from "node:worker_threads"
import { simulate } from "./simulate.ts"

const { from, step, until } = workerData as { readonly from: number; readonly step: number; readonly until: number }
const port = parentPort!
for (let seed = from; seed < until; seed += step) port.postMessage(simulate(seed), [])
