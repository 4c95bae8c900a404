/** The lives of the log's streams: sealed by the server itself, archived, read back, and only then dropped. */
import type { StreamInfo } from "@nats-io/jetstream"
import { Effect, Layer } from "effect"
import type { Digest } from "../../domain/ids.ts"
import { type LogStream, Periods } from "../../domain/ports/periods.ts"
import { placeAt } from "../archive/place.ts"
import { readArchive, writeArchive } from "../archive/write.ts"
import { openCatalogue, type PeriodRecord } from "./catalogue.ts"
import type { EventLogConfig } from "./event-log.ts"
import { unavailable } from "./follow-stream.ts"
import { linesOf } from "./stored-lines.ts"
import { CoreNats, type Nats } from "./nats.ts"
import { ensureEventStreams } from "./streams.ts"

export const PeriodsJetStream = ({ archive, partitions, period, replicas }: EventLogConfig) =>
  Layer.effect(Periods, Effect.gen(function*() {
    const nats = yield* CoreNats
    yield* ensureEventStreams(nats.jsm, { partitions, replicas })
    const catalogue = yield* openCatalogue(nats, { partitions, replicas, period })
    const place = archive === undefined ? undefined : placeAt(archive)
    const attempt = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: unavailable })
    /** By this process; whoever comes later looks for himself. */
    const readBack = new Set<Digest>()

    const placeOf = () => {
      if (place === undefined) throw new Error("KILN_ARCHIVE does not say where the archive is")
      return place
    }

    const verify = async ({ archive, last, stream }: PeriodRecord) => {
      if (archive === undefined) throw new Error(`${stream} is in no archive`)
      if (readBack.has(archive.manifest)) return
      const manifest = await readArchive(placeOf(), archive.manifest)
      if (manifest.stream !== stream || manifest.last !== last) throw new Error(`the archive has ${manifest.last} entries of ${manifest.stream}, ${stream} has ${last}`)
      readBack.add(archive.manifest)
    }

    /** Does it from this state on, and leaves it alone in any other. */
    const from = (state: PeriodRecord["state"], step: (record: PeriodRecord) => Effect.Effect<unknown, ReturnType<typeof unavailable>>) => (stream: string) =>
      Effect.flatMap(attempt(() => catalogue.ask(stream)), (record) => record?.state === state ? Effect.asVoid(step(record)) : Effect.void)

    const seal = from("open", (record) => attempt(() => catalogue.seal(record)))

    const put = from("sealed", (record) => Effect.scoped(Effect.gen(function*() {
      const { period, prefix, stream, last = 0 } = record
      const lines = yield* linesOf(nats, stream, last)
      const { bytes, manifest } = yield* attempt(() => writeArchive(placeOf(), { stream, prefix, period, last }, lines))
      const archived: PeriodRecord = { ...record, state: "archived", archive: { manifest, bytes, at: Date.now() } }
      yield* attempt(() => verify(archived))
      yield* attempt(() => catalogue.put(archived))
    })))

    const drop = from("archived", (record) => attempt(async () => {
      await verify(record)
      await nats.jsm.streams.delete(record.stream).catch(unlessMissing)
      await catalogue.put({ ...record, state: "dropped" })
    }))

    return Periods.of({
      canArchive: place !== undefined, seal, archive: put, drop,
      prepare: Effect.suspend(() => catalogue.prepare(Date.now())),
      list: attempt(() => Promise.all(catalogue.streams.map((stream) => describe(nats, stream, catalogue.get(stream)))))
    })
  }))

const describe = async ({ jsm }: Nats, stream: string, record: PeriodRecord | undefined): Promise<LogStream> => {
  const info = record?.state === "dropped" ? undefined : await jsm.streams.info(stream).catch(unlessMissing)
  return {
    stream, state: record?.state ?? "open", entries: record?.last ?? info?.state.last_seq ?? 0, bytes: info?.state.bytes ?? 0, consumers: info?.state.consumer_count ?? 0,
    ...(record && { period: record.period }), ...(info && info.state.messages > 0 && timesOf(info)),
    ...(record?.archive && { archivedBytes: record.archive.bytes, archivedAt: record.archive.at })
  }
}

const timesOf = ({ state }: StreamInfo) => ({ firstAt: Date.parse(state.first_ts), lastAt: Date.parse(state.last_ts) })

const unlessMissing = (error: unknown): undefined => {
  if ((error as { readonly code?: number }).code !== 10_059) throw error
}

