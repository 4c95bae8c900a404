/** Which streams there are and how they are kept. Made at start; a configuration that differs is brought in line or refused. */
import { createHash } from "node:crypto"
import { JetStreamApiError, type JetStreamManager, PersistMode, type StreamConfig } from "@nats-io/jetstream"
import { nanos } from "@nats-io/transport-node"
import { Effect } from "effect"
import type { AggregateRef } from "../../domain/recorded.ts"
import { NatsFailed } from "./nats.ts"

/** Where an aggregate lives: a pure function of tenant, kind, id and the number of partitions. */
export const partitionOf = (tenantId: string, partitions: number): number =>
  partitions === 1 ? 0 : createHash("sha256").update(tenantId).digest().readUInt32BE(0) % partitions

/** With one partition the stream is `EVENTS` and subjects begin with `events`; with more, `EVENTS_0` and `events-0`, and so on. */
export const eventStream = (partition: number, partitions: number): { readonly name: string; readonly prefix: string } =>
  partitions === 1 ? { name: "EVENTS", prefix: "events" } : { name: `EVENTS_${partition}`, prefix: `events-${partition}` }

export const streamOf = (ref: AggregateRef, partitions: number) =>
  eventStream(partitionOf(ref.tenantId, partitions), partitions)

export const subjectOf = (ref: AggregateRef, partitions: number): string =>
  `${streamOf(ref, partitions).prefix}.${ref.tenantId}.${ref.aggregate}.${ref.id}`

/** After an entry is stored, the server says it again below this, for live tails. */
export const livePrefix = "live"

const eventsConfig = (partition: number, partitions: number, replicas: number): Partial<StreamConfig> & { name: string } => {
  const { name, prefix } = eventStream(partition, partitions)
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

const limits = { storage: "file", retention: "limits", allow_direct: true, max_consumers: 10_000 } as const

/** What can be made anew from the log need not be synced for each message; replicated streams know no such mode. */
const unsynced = (replicas: number) => replicas === 1 ? { persist_mode: PersistMode.Async } : {}

const workConfigs = (replicas: number): ReadonlyArray<Partial<StreamConfig> & { name: string }> => [
  {
    name: "JOBS", subjects: ["jobs.>"], storage: "file", retention: "workqueue", num_replicas: replicas,
    max_consumers: 10_000, allow_direct: true, duplicate_window: nanos(10 * 60_000), ...unsynced(replicas)
  },
  {
    name: "RESULTS", subjects: ["worker.*.*.result"], storage: "file", retention: "workqueue", num_replicas: replicas,
    allow_direct: true, duplicate_window: nanos(10 * 60_000)
  },
  { ...limits, name: "PROGRESS", subjects: ["worker.*.*.progress.>"], max_msgs_per_subject: 1, max_age: nanos(24 * 3_600_000), storage: "memory" },
  {
    ...limits, ...unsynced(replicas), name: "LOGS", subjects: ["worker.*.*.log.>"], max_age: nanos(24 * 3_600_000), max_bytes: 2 * 2 ** 30, compression: "s2",
    republish: { src: ">", dest: `${livePrefix}.>` }
  }
]

const ensure = (jsm: JetStreamManager, config: Partial<StreamConfig> & { name: string }) =>
  Effect.tryPromise({
    try: async () => {
      const known = await jsm.streams.info(config.name).catch((error: unknown) => {
        if (error instanceof JetStreamApiError && error.code === 10059) return undefined
        throw error
      })
      if (known === undefined) {
        await jsm.streams.add(config)
        return
      }
      const partitions = config.metadata?.["kiln-partitions"]
      const found = known.config.metadata?.["kiln-partitions"]
      if (partitions !== found) {
        throw new Error(`it was made for ${found} partitions, the configuration says ${partitions}; keep the old number`)
      }
      // One process that was started without the setting must not take copies away from all others.
      const num_replicas = Math.max(known.config.num_replicas, config.num_replicas ?? 1)
      await jsm.streams.update(config.name, { ...known.config, ...config, num_replicas })
    },
    catch: (error) => new NatsFailed({ message: `stream ${config.name}: ${(error as Error).message}` })
  })

export const ensureEventStreams = Effect.fn("ensureEventStreams")(
  function*(jsm: JetStreamManager, partitions: number, replicas: number) {
    // More partitions than before would leave old tenants in streams that nobody looks for.
    const other = partitions === 1 ? "EVENTS_0" : "EVENTS"
    const stale = yield* Effect.promise(() => jsm.streams.info(other).then(() => true, () => false))
    if (stale) return yield* new NatsFailed({ message: `the log was made with another number of partitions: stream ${other} is there` })
    yield* Effect.forEach(Array.from({ length: partitions }, (_, index) => eventsConfig(index, partitions, replicas)),
      (config) => ensure(jsm, config), { discard: true })
  })

export const ensureWorkStreams = (jsm: JetStreamManager, replicas: number) =>
  Effect.forEach(workConfigs(replicas), (config) => ensure(jsm, config), { discard: true })
