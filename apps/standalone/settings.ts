/** What the user says to `npm start`, by flags and environment. */
import { resolve } from "node:path"
import { Effect } from "effect"
import { startFailed } from "./start-failed.ts"

export const defaultPort = 8480

export const help = `npm start [-- flags]: all of Kiln on this machine, until Ctrl-C

Flags
  --no-first-image   only serve; do not ask for a first image
  --help             this text

Environment
  KILN_HOME      everything that Kiln keeps (.kiln in this folder)
  KILN_HOST      where to listen (127.0.0.1)
  KILN_PORT      on which port (${defaultPort}); 0 takes a free one
  KILN_IMAGES    where the first image goes (images in this folder)
  KILN_SLOTS     how many jobs of each kind at once, such as {"resolve":2,"build":1,"test":1,"upload":4}
  KILN_TEST_DISTRIBUTION=1   also offer test-distro-1, whose builds are only pretended

Exit code 0 after Ctrl-C or SIGTERM, 1 when Kiln cannot start, 2 for wrong usage.
`

export interface Settings {
  readonly home: string
  readonly images: string
  readonly host: string
  readonly port: number
  readonly firstImage: boolean
}

export const project = resolve(import.meta.dirname, "../..")

export const settingsOf = Effect.fnUntraced(function*(env: NodeJS.ProcessEnv, args: ReadonlyArray<string>) {
  const port = env["KILN_PORT"] || String(defaultPort)
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) return yield* startFailed(`KILN_PORT=${port} is no port: say a number from 0 to 65535`)
  const settings: Settings = {
    home: resolve(project, env["KILN_HOME"] || ".kiln"),
    images: resolve(project, env["KILN_IMAGES"] || "images"),
    host: env["KILN_HOST"] || "127.0.0.1",
    port: Number(port),
    firstImage: !args.includes("--no-first-image")
  }
  return settings
})
