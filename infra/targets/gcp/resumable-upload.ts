/** A file into a session of Cloud Storage, chunk by chunk from where the session stands. */
import { once } from "node:events"
import { type FileHandle, open } from "node:fs/promises"
import { type Agent, type IncomingMessage, request as httpRequest } from "node:http"
import { request as httpsRequest } from "node:https"
import { Effect } from "effect"
import { readBuffer } from "../../files/read-buffer.ts"
import { callFailed, CallFailed, has, isPassing, persistently } from "../call-failed.ts"
import { saidBy } from "../failures.ts"

export interface Checksum {
  update(bytes: Buffer): void
  toString(): string
}

export interface Upload {
  /** Of the session. Who knows it may write: it needs no token, and belongs into no message. */
  readonly uri: string
  /** By which it is connected to: where it lies is Google's to say, or whoever a tenant takes for Google. */
  readonly agent: (url: URL) => Agent
  readonly path: string
  readonly size: number
  readonly chunkSize: number
  readonly pauseMs: number
  readonly checksum: Checksum
  /** Chunks that were taken, with their bytes. */
  readonly onSent: (bytes: number, at: number) => Effect.Effect<void, CallFailed>
}

/** Attempts at one chunk. */
const mostVain = 6

/** CRC-32C of the whole file, as Cloud Storage writes it; nothing if the session is gone. */
export const sendFile = Effect.fn("gcp.sendFile")(function*(upload: Upload) {
  const file = yield* Effect.acquireRelease(
    Effect.tryPromise({ try: () => open(upload.path), catch: (error) => callFailed("reading the file", saidBy(error)) }),
    (handle) => Effect.promise(() => handle.close())
  )
  const buffer = readBuffer(Math.min(upload.chunkSize, Math.max(upload.size, 1)))
  let upTo = 0
  // In this attempt: a chunk may be taken and its answer lost.
  let at: number | undefined = undefined
  let vain = 0
  while (true) {
    at ??= yield* persistently(received(upload), upload.pauseMs)
    if (at === upload.size) break
    upTo = yield* summed(file, upload.checksum, buffer, upTo, at)
    const length = Math.min(upload.chunkSize, upload.size - at)
    yield* reading(() => fill(file, buffer, at!, length))
    const chunk = buffer.subarray(0, length)
    const from: number = at
    at = yield* put(upload, chunk, from).pipe(
      // Where it stands now has to be asked.
      Effect.catchTag("CallFailed", (failed) => !isPassing(failed) || ++vain > mostVain
        ? Effect.fail(failed)
        : Effect.andThen(Effect.sleep(upload.pauseMs * 2 ** vain), persistently(received(upload), upload.pauseMs)))
    )
    if (at > from) vain = 0
    if (at >= from + length) {
      upload.checksum.update(chunk)
      upTo = from + length
    }
    if (at > from) yield* upload.onSent(at - from, at)
  }
  yield* summed(file, upload.checksum, buffer, upTo, upload.size)
  return upload.checksum.toString()
}, Effect.scoped, Effect.map((sum): string | undefined => sum), Effect.catchTag("CallFailed", (failed) =>
  has(404, 410)(failed) ? Effect.succeed(undefined) : Effect.fail(failed)))

const reading = <A>(read: () => Promise<A>) => Effect.tryPromise({ try: read, catch: (error) => callFailed("reading the file", saidBy(error)) })

const fill = async (file: FileHandle, buffer: Buffer, at: number, length: number) => {
  for (let done = 0; done < length;) {
    const { bytesRead } = await file.read(buffer, done, length - done, at + done)
    if (bytesRead === 0) throw new Error("the file is shorter than it was")
    done += bytesRead
  }
}

/** Takes what lies before a place into the checksum, if it is not in it yet: what an earlier attempt has sent. */
const summed = Effect.fnUntraced(function*(file: FileHandle, checksum: Checksum, buffer: Buffer, from: number, to: number) {
  for (let at = from; at < to;) {
    const [place, length] = [at, Math.min(buffer.length, to - at)]
    yield* reading(() => fill(file, buffer, place, length))
    checksum.update(buffer.subarray(0, length))
    at += length
  }
  return Math.max(from, to)
})

const received = (upload: Upload) => exchange(upload, `bytes */${upload.size}`)

const put = (upload: Upload, chunk: Buffer, at: number) =>
  exchange(upload, `bytes ${at}-${at + chunk.length - 1}/${upload.size}`, chunk)

/** How many bytes the session has. */
const exchange = (upload: Upload, range: string, body?: Buffer): Effect.Effect<number, CallFailed> =>
  Effect.flatMap(
    Effect.tryPromise({ try: (signal) => send(upload, range, body, signal), catch: (error) => callFailed(what, saidBy(error)) }),
    ({ headers, status, text }) => {
      if (status === 200 || status === 201) return Effect.succeed(upload.size)
      if (status === 308) return Effect.succeed(Number(/-(\d+)$/.exec(String(headers.range ?? ""))?.[1] ?? -1) + 1)
      const wait = Number(headers["retry-after"] ?? Number.NaN)
      return Effect.fail(callFailed(what, { status, code: undefined, message: messageIn(text) || `status ${status}` }, Number.isFinite(wait) ? wait * 1000 : undefined))
    }
  )
const what = "storage.objects.insert"

const silenceMs = 120_000
const longestAnswer = 2 ** 20

/** Nothing is followed. */
const send = async ({ agent, uri }: Upload, range: string, body: Buffer | undefined, signal: AbortSignal) => {
  const url = new URL(uri)
  const headers = { "content-range": range, "content-length": String(body?.length ?? 0) }
  const options = { method: "PUT", agent: agent(url), headers, signal, timeout: silenceMs }
  const request = url.protocol === "http:" ? httpRequest(url, options) : httpsRequest(url, options)
  request.on("timeout", () => request.destroy(new Error(`timed out: nothing heard for ${silenceMs / 1000} s`)))
  const answered = once(request, "response") as Promise<[IncomingMessage]>
  request.end(body)
  const [response] = await answered
  let answer = ""
  for await (const piece of response.setEncoding("utf8") as AsyncIterable<string>) if (answer.length < longestAnswer) answer += piece
  return { status: response.statusCode ?? 0, headers: response.headers, text: answer }
}

const messageIn = (text: string): string => {
  try {
    return (JSON.parse(text) as { readonly error: { readonly message: string } }).error.message
  } catch {
    return text.slice(0, 500)
  }
}
