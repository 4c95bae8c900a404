/** The `kiln` command, as people and scripts run it. */
import { spawn } from "node:child_process"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import { Layer } from "effect"
import type { Adapters } from "../../../apps/operator/adapters.ts"
import { runKiln } from "../../../apps/operator/run.ts"

const main = join(import.meta.dirname, "../../../apps/operator/main.ts")

export interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

interface Around {
  readonly backends?: ReturnType<Adapters["Service"]["backends"]>
  readonly columns?: number
}

/** In this process, which is fast: all but the environment and standard input is as in one of its own. */
export const kiln = async (args: ReadonlyArray<string>, { backends = Layer.empty as unknown as NonNullable<Around["backends"]>, columns = 80 }: Around = {}): Promise<Ran> => {
  const out: Array<string> = []
  const err: Array<string> = []
  const code = await runKiln(args, { localIssuer: () => Layer.empty as never, log: () => backends, backends: () => backends, workerCache: () => Layer.empty as never, imageContents: Layer.empty as never }, (wishes) => ({
    ...wishes, terminal: false, colours: false, columns: () => columns, write: (text) => void out.push(text), writeError: (text) => void err.push(text)
  }))
  return { code, out: out.join(""), err: err.join("") }
}

export const kilnProcess = async (args: ReadonlyArray<string>, env: Readonly<Record<string, string>>, input = ""): Promise<Ran> => {
  const { KILN_TOKEN: _token, KILN_URL: _url, npm_lifecycle_event: _event, ...inherited } = process.env
  const child = spawn(process.execPath, [main, ...args], {
    env: { ...inherited, KILN_HOME: "/nonexistent", ...env }, stdio: ["pipe", "pipe", "pipe"]
  })
  child.stdin.on("error", () => {}).end(input)
  const [out, err, code] = await Promise.all([
    text(child.stdout), text(child.stderr), new Promise<number | null>((resolve) => child.once("exit", resolve))
  ])
  return { code, out, err }
}
