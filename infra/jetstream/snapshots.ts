import { Readable } from "node:stream"
import { createInterface } from "node:readline"
import { setTimeout } from "node:timers/promises"
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
      load: (name) => Stream.fromAsyncIterable(linesOf(bucket, name), unavailable),
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
    await setTimeout(4 * (performance.now() - began))
    began = performance.now()
  }
}

async function* linesOf(bucket: ObjectStore, name: string): AsyncGenerator<string, void> {
  const found = await bucket.get(name)
  if (found === null) return
  yield* createInterface({ input: Readable.fromWeb(found.data as never).pipe(createGunzip()), crlfDelay: Infinity })
  // It is nothing when all is well, whatever its type says.
  const error = (await found.error) as Error | null | undefined
  if (error) throw error
}
