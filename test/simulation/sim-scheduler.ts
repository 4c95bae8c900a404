/** The scheduler's process: the real desk and its memory, and what `apps/scheduler` does around them. */
import { Desk } from "../../apps/scheduler/desk.ts"
import type { OpenJob, RunningJob } from "../../domain/scheduling/open-jobs.ts"
import type { Lost } from "../../domain/scheduling/jobs-in-hand.ts"
import type { Assignment } from "../../domain/scheduling/scheduler.ts"
import { builtFor } from "../../domain/compose-state.ts"
import { type Claim, type Heartbeat, type Speaker, speakerKey, type WorkItem, type WorkReport } from "../../domain/work.ts"
import { decideOn, seeCompose } from "./deciding.ts"
import { FairnessWatch } from "./fairness.ts"
import { beginWithinMs } from "./job-queues.ts"
import { Process, type Task, type Unavailable, until } from "./process.ts"
import type { ReportDelivery } from "./report-queue.ts"
import { stream } from "./sim-log.ts"
import { takeReports } from "./take-reports.ts"
import { pageOf } from "../support/scheduling.ts"
import { targetsOf } from "../../domain/job.ts"
import type { World } from "./world.ts"

export class SimScheduler extends Process {
  desk: Desk
  isListening = false
  #isReady = false
  #fairness: FairnessWatch

  constructor(world: World, name: string) {
    super(world, name)
    this.desk = this.#newDesk()
    this.#fairness = new FairnessWatch(this.desk.scheduler, world)
  }

  #newDesk(): Desk {
    const { clock, policyFile, lostAfterMs, deadlineMs } = this.world
    return new Desk({ policyFile, lostAfterMs, deadlineMs: () => deadlineMs }, clock.now)
  }

  protected begin(): void {
    this.desk = this.#newDesk()
    this.#fairness = new FairnessWatch(this.desk.scheduler, this.world)
    this.isListening = false
    this.#isReady = false
    this.spawn(this.#work())
  }

  override kill(): void {
    super.kill()
    this.isListening = false
  }

  *#work(): Task {
    const { clock, log, snapshots } = this.world
    const { scheduler } = this.desk
    const saved = snapshots.load()
    if (saved !== undefined) {
      this.desk.restore(saved)
      scheduler.load(pageOf(saved.jobs), clock.now)
    }
    const head = log.entries.length
    this.every(1000, () => this.#loseAll(scheduler.lost(clock.now)))
    this.every(1000, () => this.#endOverdue())
    this.every(1000, () => this.#clearDeserted())
    this.every(5000, () => this.#rehome())
    this.every(10_000, () => this.#recover())
    this.every(500, () => this.#pump())
    this.every(30_000, () => this.#save())
    while ((this.desk.positions[stream] ?? 0) < head) yield* this.#takeInLog()
    this.say(`has caught up with ${head} entries`)
    const lying = yield* this.#surely(() => this.world.jobs.lying)
    scheduler.settle(lying, clock.now)
    this.isListening = true
    this.spawn(this.#follow())
    for (let looks = 0; looks < 50 && this.world.reports.backlog > 0; looks++) yield* this.sleep(100)
    this.world.rollCall()
    this.#isReady = true
    this.say("is ready")
  }

  *#surely<A>(serve: () => A): Task<A> {
    for (;;) {
      const answer = yield* this.call(serve)
      if (answer !== "unavailable") return answer
    }
  }

  *#follow(): Task {
    for (;;) {
      yield* this.#takeInLog()
      yield* this.#pump()
    }
  }

  /** What is there by now, as a follower gets it: a little late, some at a time. */
  *#takeInLog(): Task {
    const { clock, log, network, random } = this.world
    const position = this.desk.positions[stream] ?? 0
    yield* until<void>((resume) => log.whenBeyond(position, () => resume()))
    yield* this.sleep(network.delay())
    const some = this.world.network.faulty ? random.between(1, 20) : 1000
    for (const entry of log.entries.slice(position, position + some)) {
      for (const job of this.desk.record(entry, clock.now)) this.#stop(job.speaker, claimOf(job))
    }
  }

  *#pump(): Task {
    if (!this.#isReady) return
    const due = this.desk.scheduler.due(this.world.clock.now)
    if (due.length === 0) return
    this.#fairness.served(due, (tenantId) => this.desk.policies.of(tenantId).runningJobs ?? Infinity)
    for (const assignment of due) this.spawn(this.#layDown(assignment))
  }

  *#layDown({ job, speaker }: Assignment): Task {
    const given = { ...job }
    const { attempt, composeId, jobId, revision, since, tenantId } = job
    this.say(`lays ${nameOf(job)} for ${speaker.worker}`)
    const seen = yield* seeCompose(this, this.desk.cache, tenantId, composeId)
    const current = seen === "unavailable" ? undefined : seen.compose.jobs.get(jobId)
    if (seen !== "unavailable" && (seen.compose.status !== "open" || current?.state !== "queued" || current.attempt !== attempt)) return
    const laid = seen === "unavailable" ? seen : yield* this.call(() => {
      const { compose } = seen
      const built = builtFor(compose, current!)
      const image = compose.request!.images[current!.image]!
      const item: WorkItem = {
        speaker: speakerKey(speaker), tenantId, composeId, jobId, attempt, kind: current!.kind, builder: compose.builder, distribution: compose.request!.distribution, image,
        customizations: {},
        ...(current!.kind === "test" && built?._tag === "Built" && { artifact: built.artifact }),
        ...(current!.kind === "upload" && { target: targetsOf(image)[0]!, ...(built?._tag === "Built" && { artifact: built.artifact }) })
      }
      const sequence = this.world.jobs.put(speaker, item, `${composeId}/${jobId}/${revision}/${since}`)
      this.world.wake(speaker)
      return sequence
    })
    if (laid !== "unavailable") return this.desk.scheduler.laid(given, laid)
    yield* this.sleep(1000)
    this.desk.scheduler.putBack(job, this.world.clock.now)
  }

  hear(speaker: Speaker, heartbeat: Heartbeat): void {
    if (!this.isAlive) return
    this.spawn(this.#loseAll(this.desk.scheduler.hear(speaker, heartbeat, this.world.clock.now)))
    this.spawn(this.#pump())
  }

  take(delivery: ReportDelivery): void {
    if (this.isAlive && this.isListening) this.spawn(this.#takeIn(delivery))
  }

  *#takeIn({ acknowledge, again, reports, scope, worker }: ReportDelivery): Task {
    const groups = Map.groupBy(reports, (report) => report._tag === "SessionBegan" ? "" : report.claim.composeId)
    for (const group of groups.values()) {
      const taken = yield* this.#takeGroup({ scope, worker }, group)
      if (taken !== "taken") return again()
    }
    acknowledge()
  }

  *#takeGroup(speaker: Speaker, reports: ReadonlyArray<WorkReport>): Task<"taken" | "start awaited" | Unavailable> {
    const attempts: Array<Exclude<WorkReport, { readonly _tag: "SessionBegan" }>> = []
    for (const report of reports) {
      if (report._tag === "SessionBegan") yield* this.#loseAll(this.desk.scheduler.orphans(speaker, report.session))
      else if (this.desk.scheduler.owns(speaker, report.claim)) attempts.push(report)
      else this.#stop(speaker, report.claim)
    }
    if (attempts.length === 0) return "taken"
    const refused = yield* takeReports(this, this.desk.cache, speaker, attempts)
    if (typeof refused === "string") return refused
    for (const claim of refused) this.#stop(speaker, claim)
    return "taken"
  }

  *#loseAll(lost: ReadonlyArray<Lost>): Task {
    for (const { job, reason } of lost) {
      const { attempt, composeId, jobId, tenantId, token } = job
      if (token === undefined) continue
      this.say(`gives ${nameOf(job)} up: ${reason}`)
      const { clock, random } = this.world
      const intent = { tenantId, messageId: `${jobId}/${token}/lost`, actor: { kind: "system" as const, id: this.name } }
      yield* decideOn(this, this.desk.cache, composeId, intent, [
        { _tag: "LoseJob", composeId, jobId, attempt, token, reason, now: clock.now as never, jitter: random.next() }])
    }
  }

  *#endOverdue(): Task {
    for (const job of this.desk.scheduler.overdue(this.world.clock.now)) {
      const { attempt, composeId, jobId, speaker, tenantId, token } = job
      const claim = claimOf(job)
      this.say(`ends ${nameOf(job)}`)
      const intent = { tenantId, messageId: `${jobId}/${token}/timeout`, actor: { kind: "system" as const, id: this.name } }
      const { clock, random } = this.world
      yield* decideOn(this, this.desk.cache, composeId, intent, [{
        _tag: "FailJob", composeId, jobId, attempt, token, failure: { class: "timeout", message: "not done in time" },
        now: clock.now as never, jitter: random.next()
      }])
      this.#stop(speaker, claim)
    }
  }

  *#clearDeserted(): Task {
    const { clock, jobs } = this.world
    if (!this.#isReady) return
    const deserted = this.desk.scheduler.deserted(clock.now - beginWithinMs, clock.now)
    if (deserted.length === 0) return
    const sequences = deserted.flatMap(({ sequence }) => sequence === 0 ? [] : [sequence])
    this.say(`withdraws ${sequences.join(", ")}`)
    if ((yield* this.call(() => jobs.withdraw(sequences))) === "unavailable") return
    for (const job of deserted) this.desk.scheduler.putBack(job, clock.now)
  }

  *#rehome(): Task {
    this.desk.scheduler.rehome(this.world.clock.now)
  }

  *#recover(): Task {
    if (!this.#isReady) return
    const { clock, jobs } = this.world
    const before = clock.now - beginWithinMs
    const lying = yield* this.call(() => jobs.lying)
    if (lying !== "unavailable") this.desk.scheduler.recover(lying, before, clock.now)
  }

  /** Written while things go on: its positions are older than some of its jobs. */
  *#save(): Task {
    if (!this.#isReady) return
    const { random, snapshots } = this.world
    const positions = { ...this.desk.positions }
    const overrides = this.desk.policies.overrides
    const jobs: Array<OpenJob> = []
    for (const job of this.desk.scheduler.jobs.values()) {
      jobs.push({ ...job, place: undefined })
      if (random.chance(0.3)) yield* this.sleep(random.between(1, 500))
    }
    snapshots.save({ positions, overrides, jobs })
  }

  #stop(speaker: Speaker, claim: Claim): void {
    this.world.tellToStop(speaker, claim)
  }
}

const claimOf = ({ attempt, composeId, jobId, tenantId, token }: RunningJob): Claim => ({ tenantId, composeId, jobId, attempt, token })

export const nameOf = ({ attempt, composeId, jobId, tenantId }: Pick<Claim, "tenantId" | "composeId" | "jobId" | "attempt">): string =>
  `${tenantId}/${Number.parseInt(composeId.slice(-12), 16)}/${jobId}/${attempt}`
