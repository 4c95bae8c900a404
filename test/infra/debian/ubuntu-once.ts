/**
 * A worker that finds another keyring than its machine's: resolves each of the specs on stdin, and builds the last one.
 * `ubuntu-once.ts CACHE WORKSPACE`, with KILN_UBUNTU_MIRROR.
 */
import { text } from "node:stream/consumers"
import { Effect, Result } from "effect"
import { type ImageSpec, manifestOf } from "../../../domain/manifest.ts"
import { debianBuilder } from "../../../infra/debian/builder.ts"
import { debianDistributions } from "../../../infra/debian/distributions.ts"
import { configOf, hearing } from "./real.ts"

const [, , cacheDir, workspace] = process.argv
const specs = JSON.parse(await text(process.stdin)) as ReadonlyArray<ImageSpec>
const builder = debianBuilder(configOf(cacheDir!))
const report = hearing()
const told = <A, E>(effect: Effect.Effect<A, E>) => Effect.runPromise(Effect.map(Effect.result(effect), (result) =>
  Result.isSuccess(result) ? { success: result.success } : { failure: result.failure }))

const locks = []
for (const spec of specs) locks.push(await told(builder.resolve(spec, workspace!, report)))
const last = locks.at(-1)!
const built = last.success && await told(builder.build(manifestOf("debian", specs.at(-1)!, last.success), new Map(), workspace!, report))
console.log(JSON.stringify({ offered: debianDistributions.map(({ id }) => id), locks, built, lines: report.lines.slice(-20) }))
