/** A worker: takes what lies on its queue as far as it has slots, says so first, works, and says how it ended until that is stored. */
import type { Artifact } from "../../domain/artifact.ts"
import type { AttemptToken, Digest } from "../../domain/ids.ts"
import type { FailureClass } from "../../domain/failure-class.ts"
import { type Abilities, type Claim, type Heartbeat, type Speaker, speakerKey, type WorkItem, type WorkReport } from "../../domain/work.ts"
import { Process, type Task, until } from "./process.ts"
import { nameOf } from "./sim-scheduler.ts"
import type { World } from "./world.ts"

type Taken = NonNullable<ReturnType<World["jobs"]["take"]>>
type Why = "done" | "stopped" | "drained"

interface Attempt {
  readonly claim: Claim
  readonly item: WorkItem
  ended: Why | undefined
  wake: (why: Why) => void
}

const heartbeatEveryMs = 3000
const passing: ReadonlyArray<FailureClass> = ["platform", "platform", "repository", "timeout", "target-fault", "target-quota"]

export class SimWorker extends Process {
  readonly speaker: Speaker
  readonly abilities: Abilities
  readonly disk = new Set<Digest>()
  readonly attempts = new Map<string, Attempt>()
  #session = ""
  isDraining = false
  #outbox: Array<{ readonly report: WorkReport; readonly stored: () => void }> = []
  #isSending = false

  constructor(world: World, speaker: Speaker, abilities: Abilities) {
    super(world, speaker.worker)
    this.speaker = speaker
    this.abilities = abilities
  }

  protected begin(): void {
    this.#session = `${this.name}-${this.world.nextNumber()}-`
    this.attempts.clear()
    this.#outbox = []
    this.#isSending = false
    this.isDraining = false
    this.spawn(this.#work())
  }

  override kill(): void {
    super.kill()
    // A disk outlives its worker, or not.
    if (this.world.random.chance(0.4)) this.disk.clear()
  }

  *#work(): Task {
    yield* this.#report({ _tag: "SessionBegan", session: this.#session })
    this.beat()
    this.every(heartbeatEveryMs, () => this.#beats())
    this.every(1000, () => this.#pull())
  }

  *#beats(): Task {
    this.beat()
  }

  beat(): void {
    if (!this.isAlive || this.isCut) return
    const heartbeat: Heartbeat = {
      session: this.#session, ...this.abilities, running: [...this.attempts.values()].map(({ claim }) => claim), held: [...this.disk],
      draining: this.isDraining, version: "1", at: this.world.clock.now as never
    }
    this.world.heartbeat(this.speaker, heartbeat)
  }

  wake(): void {
    if (this.isAlive) this.spawn(this.#pull())
  }

  *#pull(): Task {
    const hasRoom = ({ kind }: WorkItem) => [...this.attempts.values()].filter(({ item }) => item.kind === kind).length < (this.abilities.slots[kind] ?? 0)
    while (!this.isCut && !this.isDraining) {
      const taken = this.world.jobs.take(this.speaker, hasRoom)
      if (taken === undefined) return
      this.#begin(taken)
      yield* this.sleep(this.world.network.delay())
    }
  }

  #begin(taken: Taken): void {
    const { attempt, composeId, jobId, tenantId } = taken.item
    const token = `${this.#session}${this.world.nextNumber()}`.padEnd(24, "x") as AttemptToken
    const own: Attempt = { claim: { tenantId, composeId, jobId, attempt, token }, item: taken.item, ended: undefined, wake: () => {} }
    this.attempts.set(token, own)
    this.spawn(this.#attempt(own, taken))
  }

  *#attempt(own: Attempt, taken: Taken): Task {
    const { claim, item } = own
    this.say(`begins ${nameOf(claim)}`)
    yield* this.#report({ _tag: "AttemptStarted", claim })
    if (!this.isCut && !this.world.network.loses()) this.world.jobs.acknowledge(taken)
    const why = own.ended ?? (yield* until<Why>((resume) => {
      own.wake = resume
      this.world.clock.after(this.world.durationOf(this.name), () => resume("done"))
    }))
    if (why === "done") yield* this.#report(this.#outcome(claim, item))
    if (why === "drained") yield* this.#report({ _tag: "AttemptReturned", claim })
    this.say(`is ${why} with ${nameOf(claim)}`)
    this.attempts.delete(claim.token)
    yield* this.#pull()
  }

  #outcome(claim: Claim, { artifact, attempt, composeId, kind, target }: WorkItem): WorkReport {
    const { network, plans, random, store } = this.world
    const failed = (failure: FailureClass, imageGone = false): WorkReport =>
      ({ _tag: "AttemptFailed", claim, failure: { class: failure, message: "simulated" }, ...(imageGone && { imageGone }) })
    if (kind === "test" && plans.get(composeId) === kind) return { ...failed("platform"), report: { accelerator: "tcg", boots: [] } } as WorkReport
    if (plans.get(composeId) === kind || (kind === "build" && attempt > 1 && random.chance(0.1))) return failed("user")
    if (network.faulty && random.chance(0.1)) return failed(random.pick(passing))
    switch (kind) {
      case "resolve":
        return { _tag: "AttemptSucceeded", claim, outcome: { _tag: "Resolved", lock: { packages: [] } as never } }
      case "build": {
        const built: Artifact = { digest: this.world.digest(), size: 1, format: "raw", filename: "image", mediaType: "a/b" }
        this.disk.add(built.digest)
        if (random.chance(0.25)) store.add(built.digest)
        return { _tag: "AttemptSucceeded", claim, outcome: { _tag: "Built", manifest: built.digest, artifact: built, reused: false } }
      }
      case "test": {
        if (artifact === undefined) this.world.violated(`${nameOf(claim)} is to be tested, and there is no image`)
        if (!this.disk.has(artifact!.digest) && !store.has(artifact!.digest)) return failed("platform", true)
        return { _tag: "AttemptSucceeded", claim, outcome: { _tag: "Tested", verdict: random.pick(["passed", "skipped"]) } }
      }
      case "upload": {
        if (artifact === undefined) this.world.violated(`${nameOf(claim)} is to be uploaded, and there is no image`)
        if (!this.disk.has(artifact!.digest) && !store.has(artifact!.digest)) return failed("platform", true)
        return { _tag: "AttemptSucceeded", claim, outcome: { _tag: "Uploaded", target: target!, artifact: artifact! } }
      }
      case "delete":
        return { _tag: "AttemptSucceeded", claim, outcome: { _tag: "Removed", target: target! } }
    }
  }

  stop({ token }: Claim): void {
    this.#end(token, "stopped")
  }

  #end(token: string, why: Why): void {
    const own = this.attempts.get(token)
    if (!this.isAlive || own === undefined || own.ended !== undefined) return
    own.ended = why
    own.wake(why)
  }

  /** Gives back what it has, takes nothing more, and goes. */
  drain(): void {
    if (!this.isAlive) return
    this.say("drains")
    this.isDraining = true
    this.beat()
    for (const token of this.attempts.keys()) this.#end(token, "drained")
    this.after(5000, () => this.kill())
  }

  /** While one message is on its way, what else is to be reported gathers for the next. */
  *#report(report: WorkReport): Task {
    yield* until<void>((resume) => {
      this.#outbox.push({ report, stored: resume })
      if (!this.#isSending) this.spawn(this.#send())
    })
  }

  *#send(): Task {
    this.#isSending = true
    while (this.#outbox.length > 0) {
      const batch = this.#outbox
      this.#outbox = []
      const reports = batch.map(({ report }) => report)
      while ((yield* this.call(() => this.world.reports.store(this.speaker, reports))) === "unavailable") {
        yield* this.sleep(this.world.random.between(100, 5000))
      }
      for (const { stored } of batch) stored()
    }
    this.#isSending = false
  }

  get key(): string {
    return speakerKey(this.speaker)
  }
}
