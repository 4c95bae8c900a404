/** One blob into a registry, piece by piece, from where an earlier attempt stopped. */
import { type FileHandle, open } from "node:fs/promises"
import { Effect, Option, Schema } from "effect"
import type { BuildFailed } from "../../../domain/ports/image-builder.ts"
import type { Journal } from "../../../domain/ports/image-targets.ts"
import { readBuffer } from "../../files/read-buffer.ts"
import { targetFailed } from "../failures.ts"
import { refused } from "./failures.ts"
import { beginUpload, hasBlob, withDigest } from "./registry.ts"
import type { Answer, FilePart } from "./request.ts"
import type { Session } from "./session.ts"

export interface Source {
  readonly digest: string
  readonly path: string
  /** Where in the file it begins, and its bytes. */
  readonly start: number
  readonly length: number
}

export interface Upload {
  readonly journal: Journal
  /** Bytes of the blob that the registry has. */
  readonly onBytes: (bytes: number) => void
  readonly chunkBytes?: number
}

/** `at` opens this one upload and nothing else, together with what opens the registry. */
const Begun = Schema.Struct({ at: Schema.String, chunk: Schema.Int, sent: Schema.Int })
type Begun = typeof Begun.Type
const decode = Schema.decodeUnknownOption(Begun)

interface State {
  readonly at: URL
  readonly offset: number
  readonly chunk: number
  /** Bytes that went over the wire, in all attempts. */
  readonly sent: number
}

const stepOf = (digest: string) => `blob ${digest}`
const notedOf = (journal: Journal, digest: string) => Option.getOrUndefined(decode(journal.read(stepOf(digest))))

export const bytesSent = (journal: Journal, digest: string): number => notedOf(journal, digest)?.sent ?? 0

const chunkBytes = 16 * 2 ** 20
const longestChunk = 256 * 2 ** 20
/** In a row, without one byte more. */
const failuresAllowed = 4

/** By a registry that takes a blob only in one piece. */
const wantsWhole = new Set([400, 404, 405, 411, 413, 415, 416, 501])

export const uploadBlob = Effect.fnUntraced(function*(to: Session, source: Source, upload: Upload) {
  const { digest, length } = source
  const { journal, onBytes } = upload
  const step = stepOf(digest)
  if (yield* hasBlob(to, digest)) return onBytes(length)
  const chunk = upload.chunkBytes ?? chunkBytes
  if (length <= chunk) return yield* putWhole(to, source, upload)
  const noted = notedOf(journal, digest)
  const found = noted && noted.at !== "" ? yield* stateOf(to, noted) : undefined
  const state = found ?? (yield* began(to, chunk, noted?.sent ?? 0))
  if (state === undefined) return yield* putWhole(to, source, upload)
  const note = ({ at, chunk, sent }: State) => journal.note(step, { at: at.href, chunk, sent } satisfies Begun)
  yield* note(state)
  onBytes(state.offset)
  const end = yield* Effect.acquireUseRelease(
    Effect.tryPromise({ try: () => open(source.path), catch: (error) => targetFailed("reading the image", error) }),
    (file) => sendAll({ file, from: state, note, onBytes, source, to }),
    (file) => Effect.promise(() => file.close())
  )
  if (end === undefined) return yield* putWhole(to, source, upload)
  const answer = yield* to.send({ method: "PUT", url: withDigest(end.at, digest), headers: { "content-length": "0" } })
  if (answer.status === 201) return
  // It may have heard us the first time.
  if (yield* hasBlob(to, digest)) return
  yield* journal.note(step, { at: "", chunk, sent: end.sent } satisfies Begun)
  // Whatever it has gathered is not this blob: another attempt begins anew.
  const refusal = refused("the blob", to.host, answer)
  return yield* answer.status < 500 ? targetFailed(`${to.host} has not all of it`, { status: 502, message: refusal.message }) : refusal
})

/** Nothing, where so large pieces are wanted that they are no pieces. */
const began = Effect.fnUntraced(function*(to: Session, chunk: number, sent: number): Effect.fn.Return<State | undefined, BuildFailed> {
  const { at, shortest } = yield* beginUpload(to)
  return shortest > longestChunk ? undefined : { at, offset: 0, chunk: Math.max(chunk, shortest), sent }
})

/** What the registry says of an upload that was begun; nothing if it knows it no more. */
const stateOf = Effect.fnUntraced(function*(to: Session, { at, chunk, sent }: Begun): Effect.fn.Return<State | undefined, BuildFailed> {
  const url = URL.parse(at)
  if (url === null) return undefined
  const answer = yield* to.send({ method: "GET", url })
  if (answer.status !== 204 && answer.status !== 202 && answer.status !== 200) return undefined
  return { at: answer.headers.location === undefined ? url : yield* to.location(answer, url), offset: endOf(answer) ?? 0, chunk, sent }
})

/** `0-0` of a registry that has nothing yet. */
const endOf = ({ headers: { range } }: Answer): number | undefined => {
  const last = /^(?:bytes[= ])?0-(\d+)$/.exec(String(range ?? ""))?.[1]
  return last === undefined ? undefined : last === "0" ? 0 : Number(last) + 1
}

interface Sending extends Pick<Upload, "onBytes"> {
  readonly to: Session
  readonly source: Source
  readonly file: FileHandle
  readonly from: State
  readonly note: (state: State) => Effect.Effect<void, BuildFailed>
}

/** The state when all of it is there; nothing, if the registry takes no pieces. */
const sendAll = Effect.fnUntraced(function*({ file, from, note, onBytes, source, to }: Sending) {
  const buffer = readBuffer(Math.min(from.chunk, source.length))
  let state = from
  for (let failures = 0; state.offset < source.length;) {
    const body = yield* read(file, buffer, source, state.offset)
    const sent = yield* Effect.result(to.sendOnce({
      method: "PATCH", url: state.at, body,
      headers: { "content-type": "application/octet-stream", "content-range": `${state.offset}-${state.offset + body.length - 1}` }
    }))
    const answer = sent._tag === "Success" ? sent.success : undefined
    if (answer?.status === 202) {
      const expected = state.offset + body.length
      state = { ...state, at: yield* to.location(answer, state.at), offset: Math.min(endOf(answer) || expected, expected), sent: state.sent + body.length }
      failures = 0
      yield* note(state)
      onBytes(state.offset)
      continue
    }
    if (answer !== undefined && state.offset === 0 && wantsWhole.has(answer.status)) return undefined
    const failure = answer === undefined ? (sent as { readonly failure: BuildFailed }).failure : refused("a piece of the image", to.host, answer)
    if ((failure.class === "user" && answer?.status !== 416) || ++failures > failuresAllowed) return yield* failure
    yield* Effect.sleep(200 * 2 ** failures * (0.5 + Math.random() / 2))
    const again: State | undefined = yield* stateOf(to, { at: state.at.href, chunk: state.chunk, sent: state.sent })
    state = again ?? (yield* began(to, state.chunk, state.sent)) ?? state
    yield* note(state)
    onBytes(state.offset)
  }
  return state
})

const read = (file: FileHandle, buffer: Buffer, { length, start }: Source, offset: number) =>
  Effect.tryPromise({
    try: async () => {
      const wanted = Math.min(buffer.length, length - offset)
      let filled = 0
      while (filled < wanted) {
        const { bytesRead } = await file.read(buffer, filled, wanted - filled, start + offset + filled)
        if (bytesRead === 0) throw Object.assign(new Error("the image is shorter than it was said to be"), { code: "EIO" })
        filled += bytesRead
      }
      return buffer.subarray(0, wanted)
    },
    catch: (error) => targetFailed("reading the image", error)
  })

const putWhole = Effect.fnUntraced(function*(to: Session, { digest, length, path, start }: Source, { journal, onBytes }: Upload) {
  const { at } = yield* beginUpload(to)
  let done = 0
  const body: FilePart = { path, start, length, onBytes: (bytes) => onBytes(Math.min(length, done += bytes)) }
  const answer = yield* to.sendOnce({ method: "PUT", url: withDigest(at, digest), headers: { "content-type": "application/octet-stream" }, body })
  yield* journal.note(stepOf(digest), { at: "", chunk: 0, sent: bytesSent(journal, digest) + length } satisfies Begun)
  if (answer.status !== 201) return yield* refused("the blob", to.host, answer)
  onBytes(length)
})
