/** One Kiln a home. */
import { createHash } from "node:crypto"
import { readFileSync, realpathSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { Effect } from "effect"
import { startFailed, type StartFailed } from "./start-failed.ts"

/**
 * The lock is a Unix socket of the abstract kind, named after the folder: the kernel gives it to one process and takes
 * it back however that process ends, so nothing stale is ever left. The file beside it only tells people whose it is.
 */
export const lockHome = Effect.fn("lockHome")((home: string) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly close: () => void }, StartFailed>((resume) => {
      const name = createHash("sha256").update(realpathSync(home)).digest("hex").slice(0, 32)
      const server = createServer((socket) => socket.destroy())
      server.once("error", (error: NodeJS.ErrnoException) =>
        resume(startFailed(error.code === "EADDRINUSE"
          ? `${home} is in use by another Kiln${holderOf(home)}: stop that one, or choose another folder with KILN_HOME`
          : `${home} cannot be locked: ${error.message}`)))
      server.listen(`\0kiln-${name}`, () => {
        server.unref()
        writeFileSync(holderFile(home), `${process.pid}\n`)
        resume(Effect.succeed({ close: () => server.close() }))
      })
    }),
    ({ close }) => Effect.sync(close)
  ))

const holderFile = (home: string) => join(home, "held-by")

const holderOf = (home: string) => {
  try {
    return `, process ${readFileSync(holderFile(home), "utf8").trim()}`
  } catch {
    return ""
  }
}
