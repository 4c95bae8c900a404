/** The log to files and back. */
import { Effect, Layer } from "effect"
import { blobsIn } from "../../domain/blobs-in.ts"
import type { AggregateKind, AggregateRef } from "../../domain/recorded.ts"
import type { TenantId } from "../../domain/ids.ts"
import { periodAt } from "../../domain/periods.ts"
import { Blobs } from "../../domain/ports/blobs.ts"
import { LogUnavailable } from "../../domain/ports/event-log.ts"
import { Leases } from "../../domain/ports/lease.ts"
import { partsOf, type StoredFileOf, StoredFiles } from "../../domain/ports/stored-files.ts"
import { type CopyOptions, type CopyProgress, LogCopies } from "../../domain/ports/log-copies.ts"
import { BlobWriter, readBlobs } from "../archive/blob-files.ts"
import { readFiles, writeFiles } from "../archive/file-copies.ts"
import { type Export, getExport, putExport } from "../archive/exports.ts"
import { type Place, placeAt } from "../archive/place.ts"
import { aggregateIn, bytesIn, type Line, textIn } from "../archive/segments.ts"
import { ArchiveReader } from "../archive/reader.ts"
import { type Archived, readArchive, writeArchive } from "../archive/write.ts"
import { Appender } from "./appender.ts"
import { BlobsJetStream } from "./blobs.ts"
import { type Catalogue, openCatalogue } from "./catalogue.ts"
import { decode } from "./envelope.ts"
import type { EventLogConfig } from "./event-log.ts"
import { unavailable } from "./follow-stream.ts"
import { LeasesJetStream } from "./leases.ts"
import { CoreNats, type Nats } from "./nats.ts"
import { revisionOf } from "./newest.ts"
import { StoredFilesJetStream } from "./stored-files.ts"
import { linesOf } from "./stored-lines.ts"
import { ensureEventStreams, eventStream, streamOf, subjectIn } from "./streams.ts"

type OnProgress = (progress: CopyProgress) => void
const attempt = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: unavailable })
const refused = (message: string) => new LogUnavailable({ message })

export const LogCopiesJetStream = (config: EventLogConfig) =>
  Layer.effect(LogCopies, Effect.gen(function*() {
    const nats = yield* CoreNats
    const leases = yield* Leases
    yield* ensureEventStreams(nats.jsm, { partitions: config.partitions, replicas: config.replicas })
    const catalogue = yield* openCatalogue(nats, config)
    const [blobs, files] = [yield* Blobs, yield* StoredFiles]
    const log: Log = { nats, blobs, files, catalogue, config, lasting: Array.from({ length: config.partitions }, (_, index) => eventStream(index, config.partitions).name) }

    /** Nobody must work on what is only half there. */
    const alone = Effect.catchTag(Effect.timeout(leases.acquire("scheduler", "import"), "3 seconds"), ["TimeoutError", "LeaseLost"],
      () => Effect.fail(refused("a scheduler is running: stop it until the import is over")))

    return LogCopies.of({
      export: (location, onProgress, options) => exportLog(log, placeAt(location), onProgress, options),
      verify: (location, onProgress, options) => attempt(async () => {
        const place = placeAt(location)
        const made = wantedOf(await getExport(place), options)
        await checkBlobs(place, made)
        return readAll(place, made, onProgress, async () => {})
      }),
      import: (location, onProgress, options) => Effect.scoped(Effect.andThen(alone, importLog(log, placeAt(location), onProgress, options)))
    })
  })).pipe(Layer.provide(Layer.mergeAll(LeasesJetStream(config), BlobsJetStream(config), StoredFilesJetStream(config))))

interface Log {
  readonly nats: Nats
  readonly blobs: Blobs["Service"]
  readonly files: StoredFiles["Service"]
  readonly catalogue: Catalogue
  readonly config: EventLogConfig
  /** Names of the streams that never end. */
  readonly lasting: ReadonlyArray<string>
}

const exportLog = Effect.fnUntraced(function*({ blobs, catalogue, config, files: stored, lasting, nats }: Log, place: Place, onProgress: OnProgress, { withoutBlobs = false }: CopyOptions = {}) {
  const writer = withoutBlobs ? undefined : new BlobWriter(place, (digest) => Effect.runPromise(blobs.get(digest)))
  const headOf = async (stream: string) => catalogue.get(stream)?.last ?? (await nats.jsm.streams.info(stream)).state.last_seq
  // Those first that hold what came after a sealing: all that it goes on from is then in those that are looked at later.
  const heads = new Map<string, number>()
  for (const stream of [...lasting, ...catalogue.streams]) if (!heads.has(stream)) heads.set(stream, yield* attempt(() => headOf(stream)))
  const streams: Array<Export["streams"][number]> = []
  for (const stream of catalogue.streams.filter((each) => heads.has(each))) {
    const [last, record] = [heads.get(stream)!, catalogue.get(stream)]
    const { bytes, entries, manifest } = yield* Effect.scoped(Effect.gen(function*() {
      const lines = catalogue.isArchived(stream) ? archivedLines(catalogue, config.archive, stream, last) : yield* linesOf(nats, stream, last)
      const header = { stream, prefix: record?.prefix ?? prefixOf(config, stream), ...(record && { period: record.period }), last }
      return yield* attempt((): Promise<Archived> => writeArchive(place, header, shown(lines, stream, last, onProgress, writer)))
    }))
    streams.push({ stream, sealed: catalogue.isSealed(stream), manifest, entries, bytes })
  }
  const lists = yield* attempt(async () => writer?.end())
  // After the log: a file that an event names was stored before.
  const files = withoutBlobs ? undefined : yield* Effect.flatMap(Effect.mapError(stored.all, unavailable), (all) => attempt(() => writeFiles(place, all, wholeFile(stored))))
  const made: Export = { version: lists === undefined ? 1 : 3, at: Date.now(), ...(catalogue.layout && { layout: catalogue.layout }), streams, ...(lists && { blobs: lists }), ...(files && { files }) }
  yield* attempt(() => putExport(place, made))
  return totalOf(made)
})

const prefixOf = ({ partitions }: EventLogConfig, stream: string): string =>
  Array.from({ length: partitions }, (_, index) => eventStream(index, partitions)).find(({ name }) => name === stream)!.prefix

async function* archivedLines(catalogue: Catalogue, location: string | undefined, stream: string, last: number) {
  if (location === undefined) throw new Error(`${stream} is in the archive, and KILN_ARCHIVE does not say where that is`)
  yield* new ArchiveReader(placeAt(location)).lines(catalogue.get(stream)!.archive!.manifest, 0, last)
}

async function* shown(handfuls: AsyncIterable<ReadonlyArray<Line>>, stream: string, head: number, onProgress: OnProgress, writer?: BlobWriter) {
  for await (const lines of handfuls) {
    await writer?.take(lines.flatMap((line) => blobsOf(line, stream)))
    yield lines
    const last = lines.at(-1)
    if (last !== undefined) onProgress({ stream, position: last.sequence, head })
  }
}

const blobsOf = (line: Line, stream: string) => {
  const text = textIn(line)
  if (!text.includes("sha256:")) return []
  const entry = decode(line.subject, { stream, sequence: line.sequence }, text)
  return entry._tag === "Recorded" ? blobsIn(entry.events) : []
}

const wholeFile = ({ part }: StoredFiles["Service"]) => async ({ digest, size, tenantId }: StoredFileOf) => {
  const parts: Array<Uint8Array> = []
  for (let index = 0; index < partsOf(size); index += 1) {
    const next = await Effect.runPromise(part(tenantId, digest, index))
    if (next === undefined) return undefined
    parts.push(next)
  }
  return Buffer.concat(parts)
}

const wantedOf = <E extends Export>({ blobs, files, ...log }: E, { withoutBlobs = false }: CopyOptions = {}) =>
  ({ ...log, ...(!withoutBlobs && blobs && { blobs }), ...(!withoutBlobs && files && { files }) })

const checkBlobs = async (place: Place, { blobs, files }: Pick<Export, "blobs" | "files">) => {
  if (blobs !== undefined) await readBlobs(place, blobs, async (_, bytes) => void await bytes())
  if (files !== undefined) await readFiles(place, files, async (_, bytes) => void await bytes())
}

/** Each read once, and checked before it is stored: under the name of its content it harms nobody, should the next be damaged. */
const storeBlobs = async (log: Log, place: Place, { blobs, files }: Pick<Export, "blobs" | "files">) => {
  if (blobs !== undefined) await readBlobs(place, blobs, async (digest, bytes) => {
    if (!(await Effect.runPromise(log.blobs.has(digest)))) await Effect.runPromise(log.blobs.put(await bytes()))
  })
  if (files === undefined) return
  const there = new Set((await Effect.runPromise(log.files.all)).map(({ digest, tenantId }) => `${tenantId} ${digest}`))
  await readFiles(place, files, async ({ digest, storedAt, storedBy, tenantId }, bytes) => {
    if (!there.has(`${tenantId} ${digest}`)) await Effect.runPromise(log.files.put(tenantId, await bytes(), { storedAt, storedBy }))
  })
}

const totalOf = ({ blobs, files, streams }: Pick<Export, "streams" | "blobs" | "files">) => ({
  streams: streams.length, entries: streams.reduce((sum, { entries }) => sum + entries, 0),
  bytes: streams.reduce((sum, { bytes }) => sum + bytes, (blobs?.bytes ?? 0) + (files?.bytes ?? 0)),
  ...(blobs && { blobs: { count: blobs.count, missing: blobs.missing } }), ...(files && { files: { count: files.count, missing: files.missing } })
})

const handful = 200

/** Every line of an export in order, some at a time. */
const readAll = async (
  place: Place, made: Pick<Export, "streams" | "blobs" | "files">, onProgress: OnProgress, take: (lines: ReadonlyArray<Line>, stream: string) => Promise<void>,
  afterEach: (stream: Export["streams"][number]) => Promise<void> = async () => {}
) => {
  for (const each of made.streams) {
    const { entries, manifest, stream } = each
    let lines: Array<Line> = []
    const flush = async () => {
      if (lines.length === 0) return
      await take(lines, stream)
      onProgress({ stream, position: lines.at(-1)!.sequence, head: entries })
      lines = []
    }
    await readArchive(place, manifest, (line) => {
      if (lines.push(line) >= handful) return flush()
    })
    await flush()
    await afterEach(each)
  }
  return totalOf(made)
}

const importLog = Effect.fnUntraced(function*(log: Log, place: Place, onProgress: OnProgress, options?: CopyOptions) {
  const { catalogue, lasting, nats } = log
  const made = wantedOf(yield* attempt(() => getExport(place)), options)
  // Read once before anything is stored: a log that is damaged is not half taken in.
  yield* attempt(() => readAll(place, made, () => {}, async () => {}))
  const begun = yield* attempt(() => catalogue.imported())
  const filled = yield* attempt(async () => {
    for (const stream of [...lasting, ...catalogue.streams]) {
      if (catalogue.isSealed(stream) || (await nats.jsm.streams.info(stream)).state.last_seq > 0) return stream
    }
    return undefined
  })
  if (filled !== undefined && begun !== made.digest) {
    return yield* refused(begun === doneWith(made.digest) ? "this export has been imported already" : `the log is not empty: there is something in ${filled}`)
  }
  // Before the events that name them, and before anything is in the log: if one is damaged, another export may be tried.
  yield* attempt(() => storeBlobs(log, place, made))
  yield* attempt(() => catalogue.setImported(made.digest))
  yield* spreadBack(catalogue, made)
  const store = new Storing(log)
  const copied = yield* attempt(() => readAll(place, made, onProgress, (lines, stream) => store.take(lines, stream), async ({ sealed, stream }) => {
    const record = catalogue.get(stream)
    if (sealed && record?.state === "open") await catalogue.seal(record)
  }))
  yield* attempt(() => catalogue.setImported(doneWith(made.digest)))
  return { ...copied, moved: store.moved }
})

const doneWith = (digest: string) => `done ${digest}`

/** Periods reach back as far as they did, and are as they were where this log has none yet: nothing is there whose place that could change. */
const spreadBack = (catalogue: Catalogue, { layout: before }: Pick<Export, "layout">) => attempt(async () => {
  const { layout } = catalogue
  if (before === undefined) return
  if (layout === undefined) return catalogue.begin(before)
  const { from } = periodAt(layout.period, before.from)
  if (from < layout.from) await catalogue.begin({ ...layout, from })
})

/**
 * Stores lines where this log has its place for them, and knows those that are there already. A stream that was sealed is
 * sealed again when it is whole, so that what came after lies where it lay.
 */
class Storing {
  moved = 0
  readonly #log: Log
  readonly #appenders = new Map<string, Appender>()

  constructor(log: Log) {
    this.#log = log
  }

  async take(lines: ReadonlyArray<Line>, from: string): Promise<void> {
    const stored = await Promise.all(await this.#placed(lines, from))
    for (const [at, { sequence, stream }] of stored.entries()) {
      const { message, sequence: before, subject } = lines[at]!
      if (sequence === undefined) throw new Error(`${subject} is there already, with something else than ${message}`)
      if (stream !== from || sequence !== before) this.moved += 1
    }
  }

  /** Streams are made before the first is sent, so that all are sent in their order. */
  async #placed(lines: ReadonlyArray<Line>, from: string) {
    const { catalogue, config: { partitions } } = this.#log
    const places = []
    for (const line of lines) {
      const ref = refOf(line.subject)
      const period = catalogue.periodOf(ref)
      const home = streamOf(ref, partitions, period)
      if (period !== undefined && catalogue.get(home.name) === undefined) await Effect.runPromise(catalogue.make(period))
      const isSealed = catalogue.isSealed(home.name)
      const place = isSealed && from !== home.name ? streamOf(ref, partitions) : home
      places.push({ line, stream: place.name, isThere: isSealed && from === home.name, subject: `${subjectIn(place, ref)}.${revisionOf(line.subject)}` })
    }
    return places.map(async ({ isThere, line, stream, subject }) =>
      ({ stream, sequence: isThere ? line.sequence : await this.#appender(stream).append(subject, bytesIn(line), line.message) }))
  }

  #appender(stream: string): Appender {
    const known = this.#appenders.get(stream) ?? new Appender(this.#log.nats, stream)
    this.#appenders.set(stream, known)
    return known
  }
}

const refOf = (subject: string): AggregateRef => {
  const [tenantId = "", aggregate = "", ...id] = aggregateIn(subject).split(".")
  return { tenantId: tenantId as TenantId, aggregate: aggregate as AggregateKind, id: id.join(".") }
}
