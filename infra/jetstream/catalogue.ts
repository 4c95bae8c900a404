/**
 * Which streams the log is made of and what has become of each: a bucket of the log's own account that every process follows.
 * A stream is there before its record, and its record before anything is in it, so that nobody misses an entry.
 */
import { JetStreamApiError, type JsMsg } from "@nats-io/jetstream"
import { type KV, Kvm } from "@nats-io/kv"
import { Deferred, Effect, Queue, Schedule, Schema, Stream } from "effect"
import { Digest } from "../../domain/ids.ts"
import { LogUnavailable } from "../../domain/ports/event-log.ts"
import { Layout, layoutFor, makePeriodOf, type Period, periodAt, type PeriodLength } from "../../domain/periods.ts"
import type { AggregateRef } from "../../domain/recorded.ts"
import { consume, unavailable } from "./follow-stream.ts"
import { type Nats, patiently } from "./nats.ts"
import { ensureBucket, ensureEventStreams, eventStream } from "./streams.ts"

/**
 * A period's stream. `sealed`: nothing can be added to it, `last` is its last entry. `archived`: the archive has been read
 * back, and is what is read from now on. `dropped`: the server has it no more.
 */
export const PeriodRecord = Schema.Struct({
  stream: Schema.String,
  prefix: Schema.String,
  period: Schema.Struct({ name: Schema.String, from: Schema.Int, to: Schema.Int }),
  state: Schema.Literals(["open", "sealed", "archived", "dropped"]),
  last: Schema.optionalKey(Schema.Int),
  sealedAt: Schema.optionalKey(Schema.Int),
  archive: Schema.optionalKey(Schema.Struct({ manifest: Digest, bytes: Schema.Int, at: Schema.Int }))
})
export type PeriodRecord = typeof PeriodRecord.Type

const [encodeRecord, decodeRecord] = [Schema.encodeSync(Schema.fromJsonString(PeriodRecord)), Schema.decodeUnknownSync(Schema.fromJsonString(PeriodRecord))]
const [encodeLayout, decodeLayout] = [Schema.encodeSync(Schema.fromJsonString(Layout)), Schema.decodeUnknownSync(Schema.fromJsonString(Layout))]

/** Somebody else was first, or is just writing. */
const takenAlready = new Set([10_071, 10_164])

const bucketName = "PERIODS"
const layoutKey = "layout"
/** Of a log that is being filled from an export: which. */
const importKey = "import"

export interface CatalogueOptions {
  readonly partitions: number
  readonly replicas: number
  /** For a log that has none yet; none leaves it so. */
  readonly period?: PeriodLength | undefined
}

export class Catalogue {
  /** Periods from the oldest on, then the streams that never end; the same array for good. */
  readonly streams: Array<string> = []
  layout: Layout | undefined
  #periodOf: (ref: AggregateRef) => Period | undefined = () => undefined
  readonly #records = new Map<string, PeriodRecord>()
  readonly #revisions = new Map<string, number>()
  readonly #lasting: ReadonlyArray<string>
  readonly #listeners = new Set<() => void>()
  readonly #nats: Nats
  readonly #bucket: KV
  readonly #options: CatalogueOptions

  constructor(nats: Nats, bucket: KV, options: CatalogueOptions) {
    this.#nats = nats
    this.#bucket = bucket
    this.#options = options
    this.#lasting = Array.from({ length: options.partitions }, (_, index) => eventStream(index, options.partitions).name)
    this.streams.push(...this.#lasting)
  }

  periodOf(ref: AggregateRef): Period | undefined {
    return this.#periodOf(ref)
  }

  /** As this process last heard; nothing of streams that never end, or are not there. */
  get(stream: string): PeriodRecord | undefined {
    return this.#records.get(stream)
  }

  records(): ReadonlyArray<PeriodRecord> {
    return [...this.#records.values()].toSorted((one, other) => one.period.from - other.period.from || (one.stream < other.stream ? -1 : 1))
  }

  isSealed(stream: string): boolean {
    return (this.get(stream)?.state ?? "open") !== "open"
  }

  isArchived(stream: string): boolean {
    const state = this.get(stream)?.state
    return state === "archived" || state === "dropped"
  }

  /** Told at every change until it is taken back. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Each once, then new ones as they are heard of. */
  readonly streamsAsTheyCome: Stream.Stream<string> = Stream.unwrap(Effect.gen({ self: this }, function*() {
    const changed = yield* Queue.sliding<true>(1)
    yield* Effect.acquireRelease(Effect.sync(() => this.listen(() => void Queue.offerUnsafe(changed, true))), (stop) => Effect.sync(stop))
    const told = new Set<string>()
    const news = () => {
      const fresh = this.streams.filter((stream) => !told.has(stream))
      for (const stream of fresh) told.add(stream)
      return fresh
    }
    const next = Effect.gen(function*() {
      for (;;) {
        const fresh = news()
        if (fresh.length > 0) return fresh
        yield* Queue.take(changed)
      }
    })
    return Stream.flattenIterable(Stream.fromEffectRepeat(next))
  }))

  /** As the bucket has it now. */
  async ask(stream: string): Promise<PeriodRecord | undefined> {
    const entry = await this.#bucket.get(stream)
    if (entry !== null && entry.operation === "PUT") this.#take(stream, entry.string(), entry.revision)
    return this.get(stream)
  }

  /** Takes the record of a stream to what it has become, if nobody else has changed it meanwhile. */
  async put(record: PeriodRecord): Promise<void> {
    const text = encodeRecord(record)
    this.#take(record.stream, text, await this.#bucket.update(record.stream, text, this.#revisions.get(record.stream) ?? 0))
  }

  /** By the server's own rule, and then on record: nothing comes into this stream any more. */
  async seal(record: PeriodRecord): Promise<void> {
    const { jsm } = this.#nats
    const { config } = await jsm.streams.info(record.stream)
    const sealed = { ...config, sealed: true }
    if (!config.sealed) await jsm.streams.update(record.stream, sealed)
    const { state } = await jsm.streams.info(record.stream)
    await this.put({ ...record, state: "sealed", last: state.last_seq, sealedAt: Date.now() })
  }

  /** The streams of a period, made if they are not there. */
  make(period: Period): Effect.Effect<void, LogUnavailable> {
    const { partitions, replicas } = this.#options
    const streams = Array.from({ length: partitions }, (_, index) => eventStream(index, partitions, period))
    const missing = streams.filter(({ name }) => !this.#records.has(name))
    if (missing.length === 0) return Effect.void
    return ensureEventStreams(this.#nats.jsm, { partitions, replicas, period }).pipe(
      Effect.mapError(({ message }) => new LogUnavailable({ message })),
      Effect.andThen(Effect.forEach(missing, ({ name, prefix }) =>
        Effect.tryPromise({ try: () => this.#create(name, encodeRecord({ stream: name, prefix, period, state: "open" })), catch: unavailable }), { discard: true }))
    )
  }

  /** The streams of now and of the period that comes next. */
  prepare(now: number): Effect.Effect<void, LogUnavailable> {
    const { layout } = this
    if (layout === undefined) return Effect.void
    const current = periodAt(layout.period, now)
    return Effect.forEach([current, periodAt(layout.period, current.to)].filter(({ from }) => from >= layout.from), (period) => this.make(period), { discard: true })
  }

  /** Makes earlier times part of periods; only while no aggregate of those times is there. */
  async begin(layout: Layout): Promise<void> {
    const entry = await this.#bucket.get(layoutKey)
    if (entry === null) await this.#create(layoutKey, encodeLayout(layout))
    else this.#take(layoutKey, encodeLayout(layout), await this.#bucket.update(layoutKey, encodeLayout(layout), entry.revision))
  }

  /** Which export this log was begun to be filled from, if it was. */
  async imported(): Promise<string | undefined> {
    return (await this.#bucket.get(importKey))?.string()
  }

  async setImported(name: string): Promise<void> {
    await this.#bucket.put(importKey, name)
  }

  /** The first to say it is right. */
  async #create(key: string, text: string): Promise<void> {
    try {
      this.#take(key, text, await this.#bucket.create(key, text))
    } catch (error) {
      if (!(error instanceof JetStreamApiError) || !takenAlready.has(error.code)) throw error
      const entry = await this.#bucket.get(key)
      if (entry !== null) this.#take(key, entry.string(), entry.revision)
    }
  }

  /** Also of what others have put. */
  hear({ seq, subject, headers, data }: Pick<JsMsg, "seq" | "subject" | "headers" | "data">): void {
    const key = subject.slice(`$KV.${bucketName}.`.length)
    if (!headers?.has("KV-Operation")) this.#take(key, new TextDecoder().decode(data), seq)
  }

  #take(key: string, text: string, revision: number): void {
    if (revision <= (this.#revisions.get(key) ?? 0)) return
    this.#revisions.set(key, revision)
    if (key === importKey) return
    if (key === layoutKey) {
      this.layout = decodeLayout(text)
      this.#periodOf = makePeriodOf(this.layout)
    } else {
      const record = decodeRecord(text)
      const isNew = !this.#records.has(key)
      this.#records.set(key, record)
      if (isNew) this.streams.splice(0, this.streams.length, ...this.records().map(({ stream }) => stream), ...this.#lasting)
    }
    for (const listener of this.#listeners) listener()
  }
}

/** Kept up with the bucket for as long as the scope lasts. */
export const openCatalogue = Effect.fn("openCatalogue")(function*(nats: Nats, options: CatalogueOptions) {
  const bucket = yield* patiently(() => new Kvm(nats.js).create(bucketName, { replicas: options.replicas, allow_direct: false })).pipe(
    Effect.tap(() => ensureBucket(nats.jsm, `KV_${bucketName}`, { replicas: options.replicas })), Effect.mapError(unavailable))
  const catalogue = new Catalogue(nats, bucket, options)
  const loaded = yield* Deferred.make<void>()
  let position = 0
  const follow = Effect.gen(function*() {
    const { messages, pending } = yield* consume(nats, { stream: `KV_${bucketName}`, after: position })
    let left = pending
    if (left <= 0) yield* Deferred.succeed(loaded, undefined)
    yield* Stream.runForEach(Stream.fromAsyncIterable(messages, unavailable), (message) => {
      catalogue.hear(message)
      position = message.seq
      return --left === 0 ? Effect.asVoid(Deferred.succeed(loaded, undefined)) : Effect.void
    })
    return yield* new LogUnavailable({ message: "the list of streams is told no more" })
  }).pipe(Effect.scoped)
  yield* follow.pipe(
    Effect.tapError(({ message }) => Effect.logWarning(message)), Effect.retry(Schedule.spaced("1 second")), Effect.forkScoped)
  yield* Deferred.await(loaded)
  if (catalogue.layout === undefined && options.period !== undefined) yield* beginPeriods(nats, catalogue, options.period, options.partitions)
  return catalogue
})

const beginPeriods = Effect.fnUntraced(function*(nats: Nats, catalogue: Catalogue, period: PeriodLength, partitions: number) {
  yield* Effect.tryPromise({
    try: async () => {
      const states = await Promise.all(Array.from({ length: partitions }, async (_, index) =>
        (await nats.jsm.streams.info(eventStream(index, partitions).name)).state))
      await catalogue.begin(layoutFor(period, Date.now(), states.every(({ last_seq }) => last_seq === 0)))
    },
    catch: unavailable
  })
})
