/** One Postgres for a whole run of vitest, whichever of its projects asks first. */
import { Effect, Exit, Redacted, Scope } from "effect"
import type { TestProject } from "vitest/node"
import { startPostgresServer } from "../../infra/postgres-server/postgres-server.ts"
import { inContainers, temporaryFolder } from "./servers-mode.ts"

declare module "vitest" {
  interface ProvidedContext {
    postgresUrl: string
  }
}

interface Shared {
  readonly url: Promise<string>
  readonly scope: Scope.Closeable
  users: number
}

// Every project loads this module anew; what they share hangs on the process.
const key = Symbol.for("kiln/test/postgres")
const process_ = process as unknown as Record<symbol, Shared | undefined>

const start = (): Shared => {
  const scope = Scope.makeUnsafe()
  return { scope, users: 0, url: Effect.runPromise(Scope.provide(scope)(postgresUrl)) }
}

const embedded = Effect.gen(function*() {
  const server = yield* startPostgresServer({ dir: yield* temporaryFolder, durable: false })
  return Redacted.value(server.url)
})

const inContainer = Effect.flatMap(
  Effect.promise(() => import("./containers.ts")),
  ({ postgresInContainer }) => postgresInContainer
)

const postgresUrl: Effect.Effect<string, { readonly message: string }, Scope.Scope> = inContainers ? inContainer : embedded

export default async (project: TestProject) => {
  const shared = (process_[key] ??= start())
  shared.users += 1
  try {
    project.provide("postgresUrl", await shared.url)
  } catch (error) {
    const plain = new Error((error as Error).message)
    plain.stack = plain.message
    throw plain
  }
  return async () => {
    shared.users -= 1
    if (shared.users > 0) return
    process_[key] = undefined
    await Effect.runPromise(Scope.close(shared.scope, Exit.void))
  }
}
