import { join } from "node:path"
import { isProgram } from "../process/is-program.ts"

/** The nats-server that set-up has put under `KILN_TOOLS` (`.tools` of this tree by default), else one on PATH. */
export const natsServerBinary = (env: NodeJS.ProcessEnv = process.env): string => {
  const own = join(env["KILN_TOOLS"] ?? join(import.meta.dirname, "../../.tools"), "bin/nats-server")
  const found = (env["PATH"] ?? "").split(":").filter((dir) => dir !== "").map((dir) => join(dir, "nats-server"))
  return [own, ...found].find(isProgram) ?? own
}
