/** Resolves with an index that it takes for old, in a process that may have no network. `resolve-once.ts CACHE` */
import { Effect } from "effect"
import { debianBuilder } from "../../../infra/debian/builder.ts"
import { configOf, specOf } from "./real.ts"

const [, , cacheDir] = process.argv
const report = { progress: () => {}, line: (line: string) => console.log(line) }
const lock = await Effect.runPromise(
  debianBuilder({ ...configOf(cacheDir!), updateEveryMs: 0 }).resolve(specOf({}), "/nowhere", report)
)
console.log(JSON.stringify(lock))
