/** `endpoint.json` in the home: where scripts and the `kiln` command find us, there only while we serve. */
import { rmSync } from "node:fs"
import { join } from "node:path"
import { Effect, Redacted } from "effect"
import { writePrivate } from "../../infra/process/server-folder.ts"
import { archiveOf } from "./environment.ts"
import type { Stack } from "./stack.ts"
import { day } from "./tokens.ts"

export const endpointFile = (home: string) => join(home, "endpoint.json")

/** For the tenant `default`; it is written anew at every start, long before its token ends. */
export const publishEndpoint = Effect.fnUntraced(function*({ home, natsCoreUrl, postgresUrl, token, url }: Stack) {
  const endpoint = {
    url,
    token: yield* token("default", "requester", { ttl: 30 * day }),
    nats: Redacted.value(natsCoreUrl),
    postgres: Redacted.value(postgresUrl),
    archive: archiveOf(home)
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => writePrivate(endpointFile(home), `${JSON.stringify(endpoint, undefined, 2)}\n`)),
    () => removeEndpoint(home)
  )
  return endpoint
})

/** A Kiln that was killed leaves one that leads nowhere. */
export const removeEndpoint = (home: string) => Effect.sync(() => rmSync(endpointFile(home), { force: true }))
