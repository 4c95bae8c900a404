/** Streams of periods that are over: on the server until they are in the archive, and in the archive from then on. */
import { Effect, Stream } from "effect"
import { LogUnavailable } from "../../domain/ports/event-log.ts"
import type { AggregateRef, LogEntry } from "../../domain/recorded.ts"
import { placeAt } from "../archive/place.ts"
import { ArchiveReader } from "../archive/reader.ts"
import { type Line, textIn } from "../archive/segments.ts"
import type { Catalogue, PeriodRecord } from "./catalogue.ts"
import { decode } from "./envelope.ts"
import { unavailable } from "./follow-stream.ts"
import type { Nats } from "./nats.ts"
import type { Load } from "./read-stream.ts"

interface Range {
  readonly stream: string
  readonly after: number
  readonly upTo: number
  /** Only subjects that begin so, by one of these. */
  readonly beginnings?: ReadonlyArray<string> | undefined
}

export class EndedStreams {
  readonly #catalogue: Catalogue
  readonly #archive: ArchiveReader | undefined

  constructor(catalogue: Catalogue, location: string | undefined) {
    this.#catalogue = catalogue
    this.#archive = location === undefined ? undefined : new ArchiveReader(placeAt(location))
  }

  /** One aggregate's decisions in the stream of its period, which is sealed. */
  async load(nats: Nats, load: Load, record: PeriodRecord, ref: AggregateRef): Promise<ReadonlyArray<LogEntry>> {
    const [{ prefix, stream }, aggregate] = [record, `${ref.tenantId}.${ref.aggregate}.${ref.id}`]
    if (record.state === "sealed") {
      try {
        return await load(nats, stream, `${prefix}.${aggregate}`, 0)
      } catch (error) {
        if ((await this.#catalogue.ask(stream))?.state === "sealed") throw error
      }
    }
    return (await this.#reader(stream).find(this.#manifestOf(stream), aggregate)).map((line) => entryOf(stream, line))
  }

  /** Entries in order from the archive. */
  scan(range: Range): Stream.Stream<LogEntry, LogUnavailable> {
    return Stream.flattenIterable(Stream.fromAsyncIterable(this.#handfuls(range), unavailable))
  }

  /**
   * What the server tells of a stream and, once it has that no more, what the archive has behind. `upTo` is infinite for who
   * goes on for ever.
   */
  withArchive({ live, ...range }: Range & { readonly live: Stream.Stream<LogEntry, LogUnavailable> }): Stream.Stream<LogEntry, LogUnavailable> {
    return Stream.suspend(() => {
      let position = range.after
      const archived = Stream.suspend(() => this.scan({ ...range, after: position }))
      const rest = range.upTo === Infinity ? Stream.concat(archived, Stream.never) : archived
      if (this.#catalogue.isArchived(range.stream)) return rest
      const restOr = (error: LogUnavailable) => Stream.unwrap(
        Effect.tryPromise({ try: () => this.#catalogue.ask(range.stream), catch: unavailable }).pipe(
          Effect.map(() => this.#catalogue.isArchived(range.stream) ? rest : Stream.fail(error))))
      const told = Stream.map(live, (entry) => {
        position = entry.position.sequence
        return entry
      })
      const whole = range.upTo === Infinity
        ? Stream.concat(told, Stream.fail(new LogUnavailable({ message: `${range.stream} is told no more` }))) : told
      return Stream.catch(whole, restOr)
    })
  }

  async *#handfuls({ after, beginnings = [""], stream, upTo }: Range): AsyncGenerator<ReadonlyArray<LogEntry>, void> {
    const handfuls = this.#reader(stream).lines(this.#manifestOf(stream), after, upTo, (subject) => beginnings.some((each) => subject.startsWith(each)))
    for await (const lines of handfuls) yield lines.map((line) => entryOf(stream, line))
  }

  #manifestOf(stream: string) {
    const archive = this.#catalogue.get(stream)?.archive
    if (archive === undefined) throw new Error(`${stream} is in no archive`)
    return archive.manifest
  }

  #reader(stream: string): ArchiveReader {
    if (this.#archive === undefined) throw new Error(`${stream} is in the archive, and KILN_ARCHIVE does not say where that is`)
    return this.#archive
  }
}

const entryOf = (stream: string, line: Line): LogEntry => decode(line.subject, { stream, sequence: line.sequence }, textIn(line))
