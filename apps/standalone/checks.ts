/** What can be known before anything is started, each with one sentence that says what to do. */
import { accessSync, constants, mkdirSync, readFileSync } from "node:fs"
import { statfs } from "node:fs/promises"
import { createServer } from "node:net"
import { join } from "node:path"
import { Effect } from "effect"
import { natsServerBinary } from "../../infra/nats-server/binary.ts"
import { isProgram } from "../../infra/process/is-program.ts"
import { startFailed, type StartFailed } from "./start-failed.ts"

const giga = 1024 ** 3
const leastFree = 3 * giga

export const makeHome = (home: string) =>
  Effect.try({
    // Postgres may run as somebody else and has to pass through; what is private below is so by itself.
    try: () => {
      mkdirSync(home, { recursive: true, mode: 0o711 })
      for (const name of ["logs", "run", "artifacts"]) mkdirSync(join(home, name), { recursive: true, mode: 0o700 })
      accessSync(home, constants.W_OK)
    },
    catch: (error) => startFailed(`The folder ${home} cannot be used (${(error as NodeJS.ErrnoException).code}): choose another with KILN_HOME`)
  })

export const enoughDisk = Effect.fnUntraced(function*(home: string, least = leastFree) {
  const { bavail, bsize } = yield* Effect.promise(() => statfs(home))
  const free = bavail * bsize
  if (free >= least) return
  return yield* startFailed(
    `There are only ${(free / giga).toFixed(1)} GiB free where ${home} is and a first image needs ${Math.ceil(least / giga)}: `
      + "make room, choose another folder with KILN_HOME, or start with --no-first-image"
  )
})

export const portFree = (host: string, port: number) =>
  Effect.callback<void, StartFailed>((resume) => {
    if (port === 0) return resume(Effect.void)
    const server = createServer()
    server.once("error", (error: NodeJS.ErrnoException) => resume(startFailed(whyNot(error, host, port))))
    server.listen(port, host, () => server.close(() => resume(Effect.void)))
  })

const whyNot = ({ code, message }: NodeJS.ErrnoException, host: string, port: number) => {
  if (code === "EADDRINUSE") return `Port ${port} on ${host} is taken: stop what listens there, or choose another with KILN_PORT`
  if (code === "EACCES") return `Port ${port} may not be used by this user: choose one above 1023 with KILN_PORT`
  return `Kiln cannot listen on ${host} port ${port}: ${message}`
}

export const serverTools = Effect.suspend(() =>
  isProgram(natsServerBinary()) ? Effect.void : startFailed("There is no nats-server here: run npm start, which sets it up")
)

const packageList = join(import.meta.dirname, "../../infra/setup/debian-packages.txt")

/** The programs that a build needs and this machine has not. */
export const missingTools = () =>
  readFileSync(packageList, "utf8").split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([first, program, profile, machine]) =>
      first !== undefined && !first.startsWith("#") && profile === "start" && program !== "-"
      && (machine === "-" || machine === (process.arch === "x64" ? "amd64" : process.arch)))
    .flatMap(([name, program]) => (onPath(program!) ? [] : [`${program} (package ${name})`]))

const onPath = (program: string) =>
  [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/sbin"].some((folder) => isProgram(join(folder, program)))
