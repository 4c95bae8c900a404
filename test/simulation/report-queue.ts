/** What workers report, kept until a scheduler acknowledges it; comes late, twice, in another order, to whichever scheduler listens. */
import type { Speaker, WorkReport } from "../../domain/work.ts"
import type { World } from "./world.ts"

export interface ReportDelivery extends Speaker {
  readonly reports: ReadonlyArray<WorkReport>
  readonly acknowledge: () => void
  readonly again: () => void
}

export interface Listener {
  readonly isListening: boolean
  readonly take: (delivery: ReportDelivery) => void
}

const acknowledgeWithinMs = 30_000

interface Message extends Speaker {
  readonly reports: ReadonlyArray<WorkReport>
  done: boolean
}

export class ReportQueue {
  backlog = 0
  readonly #world: World
  readonly #listeners: () => ReadonlyArray<Listener>

  constructor(world: World, listeners: () => ReadonlyArray<Listener>) {
    this.#world = world
    this.#listeners = listeners
  }

  store(speaker: Speaker, reports: ReadonlyArray<WorkReport>): void {
    this.backlog += 1
    this.#deliver({ ...speaker, reports, done: false })
  }

  #deliver(message: Message): void {
    const { clock, network, random } = this.#world
    clock.after(network.delay(), () => {
      if (message.done) return
      const listening = this.#listeners().filter(({ isListening }) => isListening)
      if (listening.length === 0) return clock.after(500, () => this.#deliver(message))
      const { reports, scope, worker } = message
      let answered = false
      const later = (millis: number) => clock.after(millis, () => {
        if (answered) return
        answered = true
        this.#deliver(message)
      })
      const delivery: ReportDelivery = {
        scope, worker, reports,
        acknowledge: () => {
          // The answer may be lost as well.
          if (network.loses() || message.done) return
          message.done = true
          this.backlog -= 1
        },
        again: () => later(1000)
      }
      later(acknowledgeWithinMs)
      random.pick(listening).take(delivery)
      if (network.doubles()) clock.after(network.delay(), () => random.pick(listening).take(delivery))
    })
  }
}
