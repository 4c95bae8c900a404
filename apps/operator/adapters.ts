/** What single commands need beyond the service; `main.ts` names the technology and loads it only then. */
import { Context, type Layer } from "effect"
import type { Blobs } from "../../domain/ports/blobs.ts"
import type { EventLog } from "../../domain/ports/event-log.ts"
import type { LogServer } from "../../domain/ports/log-server.ts"
import type { LogCopies } from "../../domain/ports/log-copies.ts"
import type { Parked } from "../../domain/ports/parked.ts"
import type { Periods } from "../../domain/ports/periods.ts"
import type { WorkerCache } from "../../domain/ports/worker-cache.ts"
import type { ImageContents } from "../../domain/ports/image-contents.ts"
import type { LocalIssuer } from "../../domain/ports/tokens.ts"
import type { ProjectionStates } from "../../projections/projection-states.ts"
import type { ProjectionStore } from "../../projections/projection-store.ts"
import type { WebhookLog } from "../../projections/webhook-log.ts"

/** How an operator reaches the log and the read models: URLs with user and password. */
export interface Backends {
  readonly nats: string
  readonly postgres: string
  readonly partitions: number
  /** Where periods of the log are that are over. */
  readonly archive: string | undefined
}

export type LogPorts = EventLog | Blobs | LogCopies | LogServer | Parked | Periods

export class Adapters extends Context.Service<Adapters, {
  /** The issuer whose keys are in this folder. */
  localIssuer(keys: string): Layer.Layer<LocalIssuer>
  /** The log and what lies beside it, past the gateway. */
  log(backends: Omit<Backends, "postgres">): Layer.Layer<LogPorts, { readonly message: string }>
  /** The same, and what is in Postgres. */
  backends(backends: Backends): Layer.Layer<LogPorts | ProjectionStates | ProjectionStore | WebhookLog, { readonly message: string }>
  /** The cache of this machine's workers in this folder. */
  workerCache(dir: string): Layer.Layer<WorkerCache>
  readonly imageContents: Layer.Layer<ImageContents>
}>()("operator/Adapters") {}
