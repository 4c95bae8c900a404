/** Stored files: taken in, listed, removed, and looked for when a request names them. */
import { ByteSize, Clock, Effect } from "effect"
import { HttpIncomingMessage, type HttpServerRequest } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import type { ComposeRequest } from "../../domain/compose-request.ts"
import { Millis, type TenantId } from "../../domain/ids.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { type StoredFile, StoredFiles } from "../../domain/ports/stored-files.ts"
import { onRecord } from "../operations.ts"
import { CurrentIdentity } from "./api/authorization.ts"
import type { StoredFileView } from "./api/files-api.ts"
import { KilnApi } from "./api/kiln-api.ts"
import { type BadRequest, FilesFull, FileTooLarge, type Fault, NotFound } from "./api/problems.ts"
import { time } from "./compose-details.ts"
import { GatewayConfig } from "./config.ts"
import { badRequest, fault } from "./faults.ts"
import { orUnavailable } from "./find-compose.ts"

export const FilesLive = HttpApiBuilder.group(KilnApi, "files", Effect.fnUntraced(function*(handlers) {
  const stored = yield* StoredFiles
  const { storedFileBytes, storedFilesBytes } = yield* GatewayConfig
  const ports = yield* Effect.context<EventLog>()

  return handlers.handleAll({
    store: Effect.fnUntraced(function*({ request }) {
      const { subject, tenantId } = yield* CurrentIdentity
      const bytes = yield* bodyOf(request, storedFileBytes)
      // Two at the same time may come to a little more than the limit.
      const used = sizeOf(yield* orUnavailable(stored.list(tenantId)))
      if (used + bytes.length > storedFilesBytes) {
        return yield* new FilesFull({ detail: `${used} of ${storedFilesBytes} bytes are used; remove files that no request names any more`, limit: storedFilesBytes, used })
      }
      const storedAt = Millis.make(yield* Clock.currentTimeMillis)
      return viewOf(yield* orUnavailable(stored.put(tenantId, bytes, { storedAt, storedBy: subject })))
    }),
    list: Effect.fnUntraced(function*() {
      const { tenantId } = yield* CurrentIdentity
      const files = yield* orUnavailable(stored.list(tenantId))
      const items = files.toSorted((one, other) => other.storedAt - one.storedAt || (one.digest < other.digest ? -1 : 1)).map(viewOf)
      return { items, bytes: sizeOf(files), limit_bytes: storedFilesBytes }
    }),
    remove: Effect.fnUntraced(function*({ params: { digest } }) {
      const { role, subject, tenantId } = yield* CurrentIdentity
      const missing = new NotFound({ detail: `there is no stored file ${digest}` })
      // What changes nothing is not put on record.
      if (!(yield* orUnavailable(stored.list(tenantId))).some((file) => file.digest === digest)) return yield* missing
      const removed = onRecord({ tenantId, actor: { kind: role, id: subject } }, { operation: "file-remove", on: digest }, stored.remove(tenantId, digest))
      if (!(yield* orUnavailable(removed))) return yield* missing
    }, Effect.provideContext(ports))
  })
}))

/** That the files which a request names are the tenant's, before anything is stored. */
export const storedFilesNamed = Effect.fnUntraced(function*(tenantId: TenantId, { customizations }: ComposeRequest) {
  const named = (customizations?.files ?? []).flatMap(({ digest }, index) => (digest === undefined ? [] : [{ digest, index }]))
  if (named.length === 0) return
  const there = new Set((yield* orUnavailable((yield* StoredFiles).list(tenantId))).map(({ digest }) => digest))
  const faults = named.filter(({ digest }) => !there.has(digest)).map(({ index }): Fault =>
    ({ in: "body", path: `customizations.files[${index}].digest`, message: "no file of this digest is stored; send it first, by POST to /api/kiln/v1/files" }))
  if (faults.length > 0) return yield* badRequest(faults)
})

const bodyOf = Effect.fnUntraced(function*(request: HttpServerRequest.HttpServerRequest, limit: number): Effect.fn.Return<Uint8Array, BadRequest | FileTooLarge> {
  const tooLarge = new FileTooLarge({ detail: `a stored file has at most ${limit} bytes`, limit })
  if (Number(request.headers["content-length"]) > limit) return yield* tooLarge
  const body = yield* request.arrayBuffer.pipe(
    Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.fromInputUnsafe(limit)),
    Effect.mapError(({ reason }) => reason._tag === "RequestParseError" && reason.reason === "BodyTooLarge" ? tooLarge : fault("body", "", "the body ended early"))
  )
  return new Uint8Array(body)
})

const sizeOf = (files: ReadonlyArray<StoredFile>) => files.reduce((sum, { size }) => sum + size, 0)

const viewOf = ({ digest, size, storedAt, storedBy }: StoredFile): StoredFileView => ({ digest, size, stored_at: time(storedAt), stored_by: storedBy })
