/** Debian's docker-registry as a server of a test: its package is unpacked on demand, not installed. */
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { spawnChild } from "../../infra/process/child.ts"
import { freePort } from "../../infra/process/free-port.ts"
import { pause } from "../../infra/process/poll.ts"
import { temporaryFolder } from "./servers-mode.ts"

const tools = process.env["KILN_TOOLS"] ?? join(import.meta.dirname, "../../.tools")
const unpacked = join(tools, "docker-registry/usr/bin/docker-registry")

const unpack = () => {
  mkdirSync(tools, { recursive: true })
  const draft = mkdtempSync(join(tools, "docker-registry-"))
  try {
    execFileSync("apt-get", ["download", "docker-registry"], { cwd: draft, stdio: "ignore" })
    const [archive = ""] = readdirSync(draft)
    execFileSync("dpkg-deb", ["-x", archive, "x"], { cwd: draft, stdio: "ignore" })
    // Another test may have been faster.
    if (!existsSync(unpacked)) renameSync(join(draft, "x"), join(tools, "docker-registry"))
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}

/** Why it cannot be had here; `undefined` when it can. */
export const registryImpossible = (): string | undefined => {
  try {
    if (!existsSync(unpacked)) unpack()
    return undefined
  } catch {
    return "docker-registry cannot be had from Debian on this machine"
  }
}

export interface RunningRegistry {
  readonly host: string
  readonly port: number
}

export interface RegistryOptions {
  readonly deletes?: boolean
  /** Its `auth` section, a line each. */
  readonly auth?: (dir: string) => ReadonlyArray<string>
}

/** With nothing in it, gone with the scope. It is told its port, which somebody else may have taken by then: another one is tried. */
export const dockerRegistry = (options: RegistryOptions = {}) => started(options).pipe(Effect.retry({ times: 3 }), Effect.orDie)

const started = Effect.fnUntraced(function*({ auth = () => [], deletes = true }: RegistryOptions) {
  const dir = yield* temporaryFolder
  const port = yield* freePort
  writeFileSync(join(dir, "config.yml"), [
    "version: 0.1", "log:", "  accesslog:", "    disabled: true", "  level: error",
    "storage:", "  filesystem:", `    rootdirectory: ${join(dir, "data")}`, "  delete:", `    enabled: ${deletes}`, "  maintenance:", "    uploadpurging:", "      enabled: false",
    "http:", `  addr: 127.0.0.1:${port}`, ...auth(dir), ""
  ].join("\n"))
  const child = yield* spawnChild({ argv: [unpacked, "serve", join(dir, "config.yml")], output: join(dir, "log"), env: { PATH: process.env["PATH"], OTEL_TRACES_EXPORTER: "none" } })
  const registry: RunningRegistry = { host: `127.0.0.1:${port}`, port }
  const answers = Effect.promise(() => fetch(`http://${registry.host}/v2/`).then(({ status }) => status < 500, () => false))
  const isUp = Effect.flatMap(answers, (up) => up ? Effect.succeed(true) : Effect.as(pause(30), false)).pipe(Effect.repeat({ until: (up) => up }))
  yield* Effect.raceFirst(isUp, Effect.flatMap(child.exited, ({ code }) => Effect.fail(new Error(`docker-registry ended with ${code}, see ${dir}/log`))))
  return registry
})
