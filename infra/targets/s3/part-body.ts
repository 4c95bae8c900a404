/**
 * A part of a file as the body of a request, read twice in small pieces: for its sums, which go before it, and to be sent. What
 * is in memory is a piece and not the part, and it is still in the processor's cache when it is summed up or sent.
 */
import { createHash } from "node:crypto"
import type { FileHandle } from "node:fs/promises"
import { Readable, type Writable } from "node:stream"
import type { UploadPartCommand } from "@aws-sdk/client-s3"
import { BuildFailed } from "../../../domain/ports/image-builder.ts"

export interface Piece {
  readonly start: number
  readonly size: number
}

export const pieceBytes = 1 << 21

/** In hex. `buffer`: of a piece, and nobody else's meanwhile. */
export const hashOf = async (algorithm: "sha256" | "md5", file: FileHandle, part: Piece, buffer: Buffer): Promise<string> => {
  const hash = createHash(algorithm)
  await eachPiece(file, part, buffer, (bytes) => void hash.update(bytes))
  return hash.digest("hex")
}

const eachPiece = async (file: FileHandle, { size, start }: Piece, buffer: Buffer, use: (bytes: Buffer) => void): Promise<void> => {
  for (let at = 0; at < size;) {
    const bytes = await read(file, start + at, size - at, buffer)
    at += bytes.length
    use(bytes)
  }
}

const read = async (file: FileHandle, at: number, atMost: number, buffer: Buffer): Promise<Buffer> => {
  const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, atMost), at)
  if (bytesRead === 0) throw new BuildFailed({ class: "platform", message: "the image is shorter than it was" })
  return buffer.subarray(0, bytesRead)
}

/**
 * Pipes itself, once: a piece is read when the one before has left the buffer. Who is refused before all of it was sent may go on
 * sending while it is sent anew: `before`, of the same buffer, is stopped first.
 */
export class PartBody extends Readable {
  readonly #file: FileHandle
  readonly #part: Piece
  readonly #buffer: Buffer
  readonly #before: PartBody | undefined
  #sink: Writable | undefined
  #reading: Promise<unknown> = Promise.resolve()
  #isStopped = false

  constructor(file: FileHandle, part: Piece, buffer: Buffer, before: PartBody | undefined) {
    super()
    this.#file = file
    this.#part = part
    this.#buffer = buffer
    this.#before = before
  }

  override pipe<T extends NodeJS.WritableStream>(to: T): T {
    const sink = this.#sink = to as unknown as Writable
    this.#send(sink).then(() => sink.end(), (error: Error) => sink.destroy(error))
    return to
  }

  override _read(): void {
    this.destroy(new Error("a part is piped, not read"))
  }

  /** Afterwards nothing is read into its buffer any more. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#sink?.destroy()
    await this.#reading.catch(() => {})
  }

  async #send(sink: Writable): Promise<void> {
    await this.#before?.stop()
    const { size, start } = this.#part
    for (let at = 0; at < size;) {
      if (this.#isStopped) throw hungUp()
      const reading = this.#reading = read(this.#file, start + at, size - at, this.#buffer)
      const bytes = await reading
      if (this.#isStopped) throw hungUp()
      at += bytes.length
      await written(sink, bytes)
    }
  }
}

const hungUp = () => new Error("socket hang up")

/** For the SDK: a body is made for each of its tries, and has been summed up before. It would keep the whole in memory, or try but once. */
export const sendsAnew = (stack: UploadPartCommand["middlewareStack"], sha256: string, bodyOf: () => PartBody): void => {
  stack.add((next) => (args) => {
    (args.request as SentRequest).headers["x-amz-content-sha256"] = sha256
    return next(args)
  }, { step: "build" })
  // The last before the wire; what is said of the request above is about one without a body.
  stack.add((next) => (args) => next({ ...args, request: Object.assign(Object.create(args.request as object), { body: bodyOf() }) }), {
    step: "deserialize", priority: "low"
  })
}

interface SentRequest {
  readonly headers: Record<string, string>
}

/** Who hangs up in the middle of a body answers no write any more. */
const written = (sink: Writable, bytes: Buffer) => new Promise<void>((resolve, reject) => {
  const closed = () => reject(hungUp())
  if (sink.destroyed) return closed()
  sink.once("close", closed)
  sink.write(bytes, (error) => {
    sink.off("close", closed)
    if (error) reject(error)
    else resolve()
  })
})
