/** The console and the screen of a boot test, to its tenant. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { promisify } from "node:util"
import { gunzip } from "node:zlib"
import type { Firmware } from "../../domain/boot-test.ts"
import type { ComposeId } from "../../domain/ids.ts"
import type { Blobs } from "../../domain/ports/blobs.ts"
import type { EventLog } from "../../domain/ports/event-log.ts"
import { CurrentIdentity } from "./api/authorization.ts"
import { KilnApi } from "./api/kiln-api.ts"
import { NotFound } from "./api/problems.ts"
import { answered, storedDocument } from "./evidence-files.ts"
import { findCompose } from "./find-compose.ts"

interface Asked {
  readonly params: { readonly id: ComposeId; readonly image: number; readonly firmware: Firmware }
  readonly headers: { readonly "if-none-match"?: string }
}

/** A worker may say that anything unpacks into something huge. */
const mostText = 16 * 2 ** 20
const unpacked = (bytes: Uint8Array) =>
  Effect.tryPromise({
    try: () => promisify(gunzip)(bytes, { maxOutputLength: mostText }), catch: () => new NotFound({ detail: "the console cannot be unpacked" })
  })

const bootOf = Effect.fnUntraced(function*({ firmware, id, image }: Asked["params"]) {
  const { tenantId } = yield* CurrentIdentity
  const { verdicts } = yield* findCompose(tenantId, id)
  return verdicts.get(image)?.report?.boots.find((boot) => boot.firmware === firmware) ??
    (yield* new NotFound({ detail: `image ${image} of this compose was not booted in ${firmware}` }))
})

const consoleText = Effect.fnUntraced(function*({ headers, params }: Asked) {
  const { console } = yield* bootOf(params)
  const bytes = yield* Effect.flatMap(storedDocument(console, "there is none"), unpacked)
  // It may be tested again.
  return answered({ bytes, contentType: "text/plain; charset=utf-8", settled: false }, headers["if-none-match"])
})

const screenshot = Effect.fnUntraced(function*({ headers, params }: Asked) {
  const { screenshot } = yield* bootOf(params)
  const bytes = yield* storedDocument(screenshot, "no screenshot was taken")
  return answered({ bytes, contentType: "image/png", settled: false }, headers["if-none-match"])
})

export const BootsLive = HttpApiBuilder.group(KilnApi, "boots", Effect.fnUntraced(function*(handlers) {
  const ports = yield* Effect.context<EventLog | Blobs>()
  return handlers.handleAll({
    console: (asked) => Effect.provideContext(consoleText(asked), ports),
    screenshot: (asked) => Effect.provideContext(screenshot(asked), ports)
  })
}))
