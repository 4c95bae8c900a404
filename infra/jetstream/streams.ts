/** Which streams there are and how they are kept. Made at start; a configuration that differs is brought in line or refused. */
import { createHash } from "node:crypto"
import { JetStreamApiError, type JetStreamManager, PersistMode, type StreamConfig } from "@nats-io/jetstream"
import { nanos } from "@nats-io/transport-node"
import { Effect } from "effect"
import { type Period, streamIn } from "../../domain/periods.ts"
import type { AggregateRef } from "../../domain/recorded.ts"
import { NatsFailed, patiently } from "./nats.ts"

/** Where an aggregate lives: a pure function of tenant, kind, id and the number of partitions. */
export const partitionOf = (tenantId: string, partitions: number): number =>
  partitions === 1 ? 0 : createHash("sha256").update(tenantId).digest().readUInt32BE(0) % partitions

/** A stream of the log, and how its subjects begin. */
export interface EventStream {
  readonly name: string
  readonly prefix: string
}

/**
 * With one partition the stream that never ends is `EVENTS` and its subjects begin with `events`; with more, it is `EVENTS_0`
 * and `events-0`, and so on. That of a period has its name behind: `EVENTS-2026-11` and `events-2026-11`.
 */
export const eventStream = (partition: number, partitions: number, period?: Pick<Period, "name">): EventStream => {
  const lasting = partitions === 1 ? { name: "EVENTS", prefix: "events" } : { name: `EVENTS_${partition}`, prefix: `events-${partition}` }
  return period === undefined ? lasting : { name: streamIn(lasting.name, period), prefix: `${lasting.prefix}-${period.name}` }
}

export const streamOf = (ref: AggregateRef, partitions: number, period?: Pick<Period, "name">): EventStream =>
  eventStream(partitionOf(ref.tenantId, partitions), partitions, period)

export const subjectIn = ({ prefix }: EventStream, ref: AggregateRef): string => `${prefix}.${ref.tenantId}.${ref.aggregate}.${ref.id}`

/** After an entry is stored, the server says it again below this, for live tails. */
export const livePrefix = "live"

const eventsConfig = (partition: number, { partitions, period, replicas }: EventStreamsOptions): Named => {
  const { name, prefix } = eventStream(partition, partitions, period)
  return {
    name,
    subjects: [`${prefix}.*.*.*.*`],
    storage: "file",
    retention: "limits",
    compression: "s2",
    num_replicas: replicas,
    max_consumers: 10_000,
    // Write-once: the server refuses a second message on a subject, whoever sends it.
    max_msgs_per_subject: 1,
    discard: "new",
    discard_new_per_subject: true,
    deny_delete: true,
    deny_purge: true,
    allow_direct: true,
    allow_atomic: true,
    republish: { src: ">", dest: `${livePrefix}.>` },
    metadata: { "kiln-partitions": String(partitions) }
  }
}

export interface EventStreamsOptions {
  readonly partitions: number
  readonly replicas: number
  /** Those of this period; else those that never end. */
  readonly period?: Pick<Period, "name">
}

const limits = { storage: "file", retention: "limits", allow_direct: true, max_consumers: 10_000 } as const

/** What can be made anew from the log need not be synced for each message; replicated streams know no such mode. */
const unsynced = (replicas: number) => replicas === 1 ? { persist_mode: PersistMode.Async } : {}

const workConfigs = (replicas: number): ReadonlyArray<Named> => [
  {
    name: "JOBS", subjects: ["jobs.>"], storage: "file", retention: "workqueue", num_replicas: replicas,
    max_consumers: 10_000, allow_direct: true, duplicate_window: nanos(10 * 60_000), ...unsynced(replicas)
  },
  {
    name: "RESULTS", subjects: ["worker.*.*.result"], storage: "file", retention: "workqueue", num_replicas: replicas,
    allow_direct: true, duplicate_window: nanos(10 * 60_000)
  },
  {
    ...limits, name: "PROGRESS", subjects: ["worker.*.*.progress.>"], num_replicas: replicas,
    max_msgs_per_subject: 1, max_age: nanos(24 * 3_600_000), storage: "memory"
  },
  {
    ...limits, ...unsynced(replicas), name: "LOGS", num_replicas: replicas, subjects: ["worker.*.*.log.>"], max_age: nanos(24 * 3_600_000), max_bytes: 2 * 2 ** 30, compression: "s2",
    republish: { src: ">", dest: `${livePrefix}.>` }
  }
]

/** What was put aside: the newest thousand things. */
const parkedConfig = (replicas: number): Named => ({
  ...limits, name: "PARKED", subjects: ["parked.>"], num_replicas: replicas, max_msgs_per_subject: 1, max_msgs: 1000, max_age: nanos(30 * 24 * 3_600_000)
})

export const ensureParkedStream = (jsm: JetStreamManager, replicas: number) => ensure(jsm, parkedConfig(replicas))

type Named = Partial<StreamConfig> & { readonly name: string }

const known = (jsm: JetStreamManager, name: string) =>
  jsm.streams.info(name).catch((error: unknown) => {
    if (error instanceof JetStreamApiError && error.code === 10059) return undefined
    throw error
  })

const bringInLine = async (jsm: JetStreamManager, config: Named) => {
  const found = await known(jsm, config.name)
  if (found === undefined) {
    await jsm.streams.add(config)
    return undefined
  }
  const [wanted, had] = [config.metadata?.["kiln-partitions"], found.config.metadata?.["kiln-partitions"]]
  if (wanted !== had) throw new Error(`it was made for ${had} partitions, the configuration says ${wanted}; keep the old number`)
  // The server never changes how a stream is kept: made unsynced, for one server, it stays on one.
  const mode = { persist_mode: found.config.persist_mode }
  // One process that was started without the setting must not take copies away from all others.
  const num_replicas = mode.persist_mode === PersistMode.Async ? 1 : Math.max(found.config.num_replicas, config.num_replicas ?? 1)
  await jsm.streams.update(config.name, { ...found.config, ...config, num_replicas, ...mode })
  return num_replicas < (config.num_replicas ?? 1) ? `stream ${config.name} was made for one server and stays on one until it is deleted` : undefined
}

const failed = (name: string) => (error: Error) => new NatsFailed({ message: `stream ${name}: ${error.message}` })

const ensure = (jsm: JetStreamManager, config: Named) =>
  patiently(() => bringInLine(jsm, config)).pipe(
    Effect.tap((remark) => remark === undefined ? Effect.void : Effect.logWarning(remark)), Effect.mapError(failed(config.name)))

interface BucketConfig {
  readonly replicas: number
  readonly lifetimeMs?: number
}

/** The clients of buckets leave one that is there as it is, be it made when there was one server. */
export const ensureBucket = (jsm: JetStreamManager, name: string, { lifetimeMs, replicas }: BucketConfig) =>
  patiently(async () => {
    const { config } = await jsm.streams.info(name)
    const wanted = { num_replicas: Math.max(config.num_replicas, replicas), max_age: lifetimeMs === undefined ? config.max_age : nanos(lifetimeMs) }
    if (config.num_replicas !== wanted.num_replicas || config.max_age !== wanted.max_age) await jsm.streams.update(name, { ...config, ...wanted })
  })

export const ensureEventStreams = Effect.fn("ensureEventStreams")(
  function*(jsm: JetStreamManager, options: EventStreamsOptions) {
    // More partitions than before would leave old tenants in streams that nobody looks for.
    const other = options.partitions === 1 ? "EVENTS_0" : "EVENTS"
    const stale = options.period === undefined ? yield* patiently(() => known(jsm, other)).pipe(Effect.mapError(failed(other))) : undefined
    if (stale !== undefined) return yield* new NatsFailed({ message: `the log was made with another number of partitions: stream ${other} is there` })
    yield* Effect.forEach(Array.from({ length: options.partitions }, (_, index) => eventsConfig(index, options)),
      (config) => ensure(jsm, config), { discard: true })
  })

export const ensureWorkStreams = (jsm: JetStreamManager, replicas: number) =>
  Effect.forEach(workConfigs(replicas), (config) => ensure(jsm, config), { discard: true })
