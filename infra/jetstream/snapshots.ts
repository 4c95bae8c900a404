import { Readable } from "node:stream"
import { createInterface } from "node:readline"
import { setTimeout as pause } from "node:timers/promises"
import { createGunzip, createGzip } from "node:zlib"
import { type ObjectStore, Objm, setSha256Backend } from "@nats-io/obj"
import { Effect, Layer, Stream } from "effect"
import { Snapshots, SnapshotsUnavailable } from "../../domain/ports/snapshots.ts"
import { CoreNats, patiently } from "./nats.ts"
import { ensureBucket } from "./streams.ts"

// The client's own, in JavaScript, takes a tenth of a restart with a million jobs.
setSha256Backend("native")

const unavailable = (error: unknown) => new SnapshotsUnavailable({ message: `snapshots cannot be kept: ${(error as Error).message}` })
const attempt = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: unavailable })

export const SnapshotsJetStream = ({ replicas }: { readonly replicas: number }) =>
  Layer.effect(Snapshots, Effect.gen(function*() {
    const { js, jsm } = yield* CoreNats
    const bucket = yield* patiently(() => new Objm(js).create("snapshots", { replicas })).pipe(
      Effect.tap(() => ensureBucket(jsm, "OBJ_snapshots", { replicas })), Effect.mapError(unavailable))
    return Snapshots.of({
      load: (name) => Stream.unwrap(linesOf(bucket, name)),
      save: (name, lines) =>
        Effect.asVoid(attempt(() => {
          const packed = Readable.from(ended(lines)).pipe(createGzip({ level: 1 }))
          return bucket.put({ name }, Readable.toWeb(packed) as ReadableStream<Uint8Array>)
        }))
    })
  }))

/** Takes a fifth of its thread's time: who has a million lines to save has other things to do as well. */
async function* ended(lines: Iterable<string>): AsyncGenerator<string, void> {
  let began = performance.now()
  for (const line of lines) {
    yield `${line}\n`
    await pause(4 * (performance.now() - began))
    began = performance.now()
  }
}

/** What is replaced while it is read may lose its next part, which then never comes. */
const patienceMs = 10_000

const linesOf = (bucket: ObjectStore, name: string) =>
  Effect.gen(function*() {
    const found = yield* attempt(() => bucket.get(name))
    if (found === null) return Stream.empty
    const packed = Readable.fromWeb(found.data as never)
    const unpacked = packed.pipe(createGunzip())
    packed.once("error", (error) => unpacked.destroy(error))
    yield* Effect.addFinalizer(() => Effect.sync(() => {
      packed.destroy()
      unpacked.destroy()
    }))
    const reader = createInterface({ input: unpacked, crlfDelay: Infinity })[Symbol.asyncIterator]()
    // It has no `return`: who lets go of it must not wait for a part that may never come.
    const next = () => within(patienceMs, reader.next())
    const isWhole = Effect.flatMap(Effect.promise(() => found.error as Promise<Error | null | undefined>),
      // It is nothing when all is well, whatever its type says.
      (error) => error ? Effect.fail(unavailable(error)) : Effect.void)
    return Stream.concat(
      Stream.fromAsyncIterable({ [Symbol.asyncIterator]: () => ({ next }) }, unavailable),
      Stream.drain(Stream.fromEffect(isWhole)))
  })

const within = async <A>(ms: number, promise: Promise<A>): Promise<A> => {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error("a part of it does not come")), ms)
  try {
    return await Promise.race([promise, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
