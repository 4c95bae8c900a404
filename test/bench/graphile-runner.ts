/** graphile-worker in a process of its own: a build that does nothing and asks for an upload that does nothing. */
import { run } from "graphile-worker"

const [connectionString, concurrency] = process.argv.slice(2)
await run({
  connectionString: connectionString!, concurrency: Number(concurrency), maxPoolSize: Number(concurrency) + 2,
  taskList: {
    build: async (payload, { addJob }) => void await addJob("upload", payload as object),
    upload: () => {}
  }
})
process.send?.("ready")
