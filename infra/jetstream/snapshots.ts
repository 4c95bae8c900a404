import { Objm } from "@nats-io/obj"
import { Effect, Layer } from "effect"
import { gunzipSync, gzipSync } from "node:zlib"
import { Snapshots, SnapshotsUnavailable } from "../../domain/ports/snapshots.ts"
import { CoreNats } from "./nats.ts"

const attempt = <A>(run: () => Promise<A>) =>
  Effect.tryPromise({ try: run, catch: (error) => new SnapshotsUnavailable({ message: `snapshots cannot be kept: ${(error as Error).message}` }) })

export const SnapshotsJetStream = ({ replicas }: { readonly replicas: number }) =>
  Layer.effect(Snapshots, Effect.gen(function*() {
    const { js } = yield* CoreNats
    const bucket = yield* attempt(() => new Objm(js).create("snapshots", { replicas }))
    return Snapshots.of({
      load: (name) =>
        attempt(() => bucket.getBlob(name)).pipe(Effect.map((bytes) => bytes === null ? undefined : gunzipSync(bytes).toString())),
      save: (name, text) => Effect.asVoid(attempt(() => bucket.putBlob({ name }, gzipSync(text, { level: 1 }))))
    })
  }))
