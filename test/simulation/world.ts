/** Everything of one run: the log, the queues, who lives in it, and the draws that decide what happens. */
import { type Random, randomOf } from "../chaos/random.ts"
import type { SnapshotHead } from "../../apps/scheduler/snapshot.ts"
import { sharedPool } from "../../apps/scheduler/desk.ts"
import { ComposeId, Digest, PoolId, scopeOf, TenantId, WorkerId } from "../../domain/ids.ts"
import type { JobKind } from "../../domain/job.ts"
import { type PolicyFile, policyOf } from "../../domain/policy.ts"
import type { OpenJob } from "../../domain/scheduling/open-jobs.ts"
import { type Claim, type Heartbeat, type Speaker, speakerKey } from "../../domain/work.ts"
import { Checks } from "./checks.ts"
import { Clock } from "./clock.ts"
import { JobQueues } from "./job-queues.ts"
import { Network } from "./network.ts"
import { ReportQueue } from "./report-queue.ts"
import { SimGateway } from "./sim-gateway.ts"
import { SimLog } from "./sim-log.ts"
import { SimScheduler } from "./sim-scheduler.ts"
import { SimSettler } from "./sim-settler.ts"
import { SimWorker } from "./sim-worker.ts"
import { Trace } from "./trace.ts"
import { Violation } from "./violation.ts"

export interface SimSnapshot extends SnapshotHead {
  readonly jobs: ReadonlyArray<OpenJob>
}

const theirs = PoolId.make("theirs")
export const [shared, weighty, limited, own] = ["shared", "weighty", "limited", "own"].map((name) => TenantId.make(name)) as [TenantId, TenantId, TenantId, TenantId]

export class World {
  readonly clock = new Clock()
  readonly trace = new Trace()
  readonly random: Random
  readonly network: Network
  readonly log: SimLog
  readonly checks: Checks
  readonly jobs: JobQueues
  readonly reports: ReportQueue
  readonly policyFile: PolicyFile
  readonly lostAfterMs = 30_000
  readonly deadlineMs = 120_000
  readonly schedulers: ReadonlyArray<SimScheduler>
  readonly workers: ReadonlyArray<SimWorker>
  readonly gateways: ReadonlyArray<SimGateway>
  readonly settler: SimSettler
  /** Which kind of job fails by the requester's fault. */
  readonly plans = new Map<ComposeId, JobKind>()
  /** Images that lie elsewhere than on the disk of their builder. */
  readonly store = new Set<Digest>()
  readonly snapshots: Snapshots
  readonly #slow: ReadonlySet<string>
  #number = 0

  constructor(seed: number) {
    this.random = randomOf(seed)
    this.network = new Network(this.random)
    this.policyFile = policiesOf(this.random)
    this.checks = new Checks((tenantId) => policyOf(this.policyFile, tenantId, undefined))
    this.log = new SimLog(this.clock, (entry) => {
      this.trace.step(this.clock.now, `${entry.tenantId}/${entry.aggregate === "compose" ? numberOf(entry.id) : "account"}`,
        entry.events.map((event) => "jobId" in event ? `${event._tag} ${event.jobId}/${event.attempt}` : event._tag).join(", "))
      this.checks.entry(entry)
    })
    this.jobs = new JobQueues(this.clock)
    this.reports = new ReportQueue(this, () => this.schedulers)
    this.snapshots = new Snapshots(this.random)
    this.schedulers = ["scheduler", "standby"].map((name) => new SimScheduler(this, name))
    this.gateways = ["gateway-1", "gateway-2"].map((name) => new SimGateway(this, name))
    this.settler = new SimSettler(this, "settler")
    this.workers = workersOf(this)
    this.#slow = new Set(this.workers.filter(() => this.random.chance(0.2)).map(({ name }) => name))
  }

  readonly weightOf = (tenantId: TenantId): number => policyOf(this.policyFile, tenantId, undefined).weight ?? 1

  nextNumber(): number {
    return ++this.#number
  }

  composeId(): ComposeId {
    return `01890000-0000-7000-8000-${this.nextNumber().toString(16).padStart(12, "0")}` as ComposeId
  }

  digest(): Digest {
    return `sha256:${this.nextNumber().toString(16).padStart(64, "0")}` as Digest
  }

  resolves(composeId: ComposeId): boolean {
    return Number.parseInt(composeId.slice(-1), 16) % 3 === 0
  }

  /** Some hang, some are slow, most are quick. */
  durationOf(worker: string): number {
    if (this.network.faulty && this.random.chance(0.01)) return 200_000
    return this.random.between(50, this.random.chance(0.3) ? 8000 : 800) * (this.#slow.has(worker) ? 4 : 1)
  }

  heartbeat(speaker: Speaker, heartbeat: Heartbeat): void {
    for (const scheduler of this.schedulers) {
      if (this.network.loses()) continue
      this.clock.after(this.network.delay(), () => scheduler.hear(speaker, heartbeat))
    }
  }

  rollCall(): void {
    for (const worker of this.workers) if (!this.network.loses()) this.clock.after(this.network.delay(), () => worker.beat())
  }

  wake(speaker: Speaker): void {
    this.#worker(speaker)?.wake()
  }

  tellToStop(speaker: Speaker, claim: Claim): void {
    const worker = this.#worker(speaker)
    if (worker === undefined || worker.isCut || (this.network.faulty && this.random.chance(0.1))) return
    this.clock.after(this.network.delay(), () => worker.stop(claim))
  }

  violated(what: string): never {
    throw new Violation(what)
  }

  #worker(speaker: Speaker): SimWorker | undefined {
    return this.workers.find(({ key }) => key === speakerKey(speaker))
  }
}

/** The last ones, of which a restart may find any, or none. */
class Snapshots {
  readonly #random: Random
  #saved: Array<SimSnapshot> = []

  constructor(random: Random) {
    this.#random = random
  }

  save(snapshot: SimSnapshot): void {
    this.#saved = [...this.#saved, snapshot].slice(-3)
  }

  load(): SimSnapshot | undefined {
    return this.#random.chance(0.1) || this.#saved.length === 0 ? undefined : this.#random.chance(0.8) ? this.#saved.at(-1) : this.#random.pick(this.#saved)
  }
}

export const numberOf = (composeId: string): number => Number.parseInt(composeId.slice(-12), 16)

const policiesOf = (random: Random): PolicyFile => ({
  pools: { [theirs]: { tenant: own } },
  tenants: {
    [weighty]: { weight: random.between(2, 5), composes: [{ count: random.between(2, 10), windowMs: 20_000 }, { count: 14, windowMs: 90_000 }] },
    [limited]: { runningJobs: random.between(1, 3), composes: [{ count: random.between(1, 4), windowMs: 30_000 }] },
    [own]: random.chance(0.5) ? { pool: theirs } : {}
  }
})

const workersOf = (world: World): ReadonlyArray<SimWorker> => {
  const { random } = world
  const slots = () => ({ resolve: 1, build: random.between(1, 3), test: 1, upload: random.between(1, 3) })
  const both = ["x86_64", "aarch64"] as const
  return [
    new SimWorker(world, { scope: scopeOf([sharedPool]), worker: WorkerId.make("w1") }, { architectures: both, slots: slots() }),
    new SimWorker(world, { scope: scopeOf([sharedPool]), worker: WorkerId.make("w2") }, { architectures: ["x86_64"], slots: slots() }),
    new SimWorker(world, { scope: scopeOf([sharedPool, theirs]), worker: WorkerId.make("w3") }, { architectures: both, slots: slots() }),
    ...random.chance(0.3) ? [new SimWorker(world, { scope: scopeOf([theirs]), worker: WorkerId.make("w1") }, { architectures: ["x86_64"], slots: slots() })] : []
  ]
}
