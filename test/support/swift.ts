/** OpenStack Swift, an S3 that is not Amazon's nor ours, in a Debian of its own. Takes root and some minutes once, so it is asked for by `KILN_TEST_SWIFT=1`. */
import { execFileSync } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import type { CredentialsOf } from "../../domain/credentials.ts"
import { spawnChild } from "../../infra/process/child.ts"
import { freePort } from "../../infra/process/free-port.ts"
import { pause } from "../../infra/process/poll.ts"
import { temporaryFolder } from "./servers-mode.ts"

const root = join(process.env["KILN_TOOLS"] ?? join(import.meta.dirname, "../../.tools"), "swift-trixie")

export const swiftImpossible = (): string | undefined => {
  if (process.env["KILN_TEST_SWIFT"] !== "1") return "asked for by KILN_TEST_SWIFT=1"
  if (process.geteuid?.() !== 0) return "Swift is started in a root of its own, which only root may do"
  try {
    if (!existsSync(join(root, "kiln-ready"))) execFileSync("bash", [join(import.meta.dirname, "swift.sh"), root], { stdio: "ignore" })
    return undefined
  } catch {
    return "Swift cannot be had from Debian on this machine"
  }
}

/** With nothing in it, gone with the scope. */
export const swift = Effect.gen(function*() {
  const work = yield* temporaryFolder
  const [proxy, object, container, account] = yield* Effect.all([freePort, freePort, freePort, freePort])
  const child = yield* spawnChild({
    argv: ["bash", join(import.meta.dirname, "swift-serve.sh"), root, work, ...[proxy, object, container, account].map(String)], output: join(work, "log"), env: { PATH: process.env["PATH"] }
  })
  const endpoint = `http://127.0.0.1:${proxy}`
  // Refused for want of a signature is an answer of all of it; before the others are up it is an error of the server's.
  const answers = Effect.promise(() => fetch(endpoint, { headers: { authorization: "AWS lab:lab:x" } }).then(({ status }) => status === 403, () => false))
  const isUp = Effect.flatMap(answers, (up) => up ? Effect.succeed(true) : Effect.as(pause(100), false)).pipe(Effect.repeat({ until: (up) => up }))
  yield* Effect.raceFirst(isUp, Effect.flatMap(child.exited, ({ code }) => Effect.die(new Error(`Swift ended with ${code}, see ${work}/log`))))
  const credentials: CredentialsOf<"aws"> = { provider: "aws", access_key_id: "lab:lab", secret_access_key: "labsecret", region: "us-east-1", endpoints: { s3: endpoint } }
  return { endpoint, credentials }
}).pipe(Effect.orDie)
