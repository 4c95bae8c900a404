/** A worker of its own, to be killed or starved: builds the lock on stdin. `build-once.ts CACHE WORKSPACE [disk|auto [TYPE]]` */
import { text } from "node:stream/consumers"
import { Effect, Result } from "effect"
import { manifestOf } from "../../../domain/manifest.ts"
import { debianBuilder } from "../../../infra/debian/builder.ts"
import { configOf, typedSpec } from "./real.ts"

const [, , cacheDir, workspace, scratch, type = "guest-image"] = process.argv
const lock = JSON.parse(await text(process.stdin))
const report = { progress: () => {}, line: (line: string) => console.log(line) }
const builder = debianBuilder({ ...configOf(cacheDir!), scratch: scratch === "disk" ? "disk" : "auto" })
const result = await Effect.runPromise(
  Effect.result(builder.build(manifestOf("debian", typedSpec(type, {}), lock), new Map(), workspace!, report))
)
console.log(
  Result.isFailure(result) ? `failed ${result.failure.class} ${result.failure.message}` : `built ${result.success.path}`
)
