import { Effect } from "effect"
import { createServer } from "node:net"

/** A port of this machine that nobody listens on now; somebody else may take it before its user does. */
export const freePort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address() as { port: number }
    server.close(() => resume(Effect.succeed(port)))
  })
})
