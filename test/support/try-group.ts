/** For tests in a guest: what becomes of one build by the settings of this process, and the memory that it may count on. */
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Result } from "effect"
import { groupObstacle } from "../../infra/sandbox/cgroup.ts"
import { freeMemory } from "../../infra/sandbox/free-memory.ts"
import { limitsOf } from "../../infra/sandbox/limits.ts"
import { confined } from "../../infra/sandbox/sandbox.ts"

const limits = limitsOf(process.env)
const free = await freeMemory()
const obstacle = groupObstacle(limits)
const work = mkdtempSync(join(tmpdir(), "kiln-try-"))
const result = await Effect.runPromise(Effect.result(confined({ argv: ["true"] }, { read: [], write: [work] }, work, limits)))
const ended = Result.isSuccess(result) ? `exit ${result.success.code}` : `${result.failure.class}: ${result.failure.message}`
console.log(JSON.stringify({ obstacle, ended, free }))
