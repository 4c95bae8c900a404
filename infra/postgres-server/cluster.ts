/** The data directory of the embedded Postgres: made once, whole or not at all. */
import { Effect } from "effect"
import { execFile, spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { chownSync, existsSync, renameSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import { ServerFailed } from "../process/server-failed.ts"
import { readOr, writePrivate } from "../process/server-folder.ts"
import type { RunAs } from "./binaries.ts"

export interface Cluster {
  readonly dataDir: string
  readonly password: string
}

export const database = "kiln"

export const cluster = Effect.fn("cluster")(function*(dir: string, binaries: string, as: RunAs, durable: boolean) {
  const dataDir = join(dir, "data")
  const passwordFile = join(dir, "postgres-password")
  if (!existsSync(passwordFile)) writePrivate(passwordFile, randomBytes(24).toString("base64url"))
  const password = readOr(passwordFile, "").trim()
  const owner = as.how === "other" ? as : { uid: 0, gid: 0 }
  if (as.how !== "self") for (const path of [dir, passwordFile]) chownSync(path, owner.uid, owner.gid)
  if (!existsSync(dataDir)) yield* initialise({ dataDir, passwordFile, binaries, as, durable })
  yield* sameMajor(dataDir, binaries)
  if (as.how !== "self") giveTo(dataDir, owner)
  return { dataDir, password }
})

interface Making extends Record<"dataDir" | "passwordFile" | "binaries", string> {
  readonly as: RunAs
  readonly durable: boolean
}

const initialise = Effect.fnUntraced(function*({ as, binaries, dataDir, durable, passwordFile }: Making) {
  const making = `${dataDir}.new`
  rmSync(making, { recursive: true, force: true })
  const settings = ["-U", "kiln", "--auth=scram-sha-256", `--pwfile=${passwordFile}`, "--locale=C", "-E", "UTF8"]
  yield* run(as, join(binaries, "initdb"), ["-D", making, ...settings, ...(durable ? [] : ["--no-sync"])])
  yield* run(as, join(binaries, "postgres"), ["--single", "-D", making, "postgres"], `create database ${database}\n`)
  renameSync(making, dataDir)
})

const run = (as: RunAs, program: string, args: ReadonlyArray<string>, input = "") =>
  Effect.callback<void, ServerFailed>((resume) => {
    const [first, ...rest] = [...(as.how === "self" ? [] : as.prefix), program, ...args] as [string, ...Array<string>]
    const child = execFile(first, rest, { cwd: "/" }, (error, _out, err) => {
      if (error === null) return resume(Effect.void)
      const said = err.trim().split("\n").find((line) => /error|fatal|could not|denied|setpriv/i.test(line)) ?? error.message
      const hint = as.how === "other"
        ? "; it does not run as root, and this machine does not let root run it as somebody else: run Kiln as an ordinary user"
        : ""
      resume(failed(`Postgres could not be set up: ${said}${hint}`))
    })
    child.stdin?.on("error", () => {}).end(input)
  })

const sameMajor = (dataDir: string, binaries: string) => {
  const made = readOr(join(dataDir, "PG_VERSION"), "").trim()
  const have = /(\d+)/.exec(spawnSync(join(binaries, "postgres"), ["--version"], { encoding: "utf8" }).stdout ?? "")?.[1]
  return made === have ? Effect.void : failed(`${dataDir} was made by Postgres ${made || "of an unknown version"}, this one is ${have}`)
}

/** The machine may have changed its mind about namespaces since the last start. */
const giveTo = (dataDir: string, { gid, uid }: { readonly uid: number; readonly gid: number }) => {
  if (statSync(dataDir).uid !== uid) spawnSync("chown", ["-R", `${uid}:${gid}`, dataDir], { stdio: "ignore" })
}

const failed = (message: string) => Effect.fail(new ServerFailed({ server: "postgres", message }))
