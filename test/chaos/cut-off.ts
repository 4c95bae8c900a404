/** Ways to take a NATS node from all others while it goes on to believe that it is one of them. */
import { Effect } from "effect"
import type { Stack } from "../../apps/standalone/stack.ts"
import type { NatsPlace } from "../../infra/nats-server/cluster.ts"

export interface CutOff {
  readonly how: string
  /** Where the nodes have to be for it. */
  readonly places?: ReadonlyArray<NatsPlace>
  readonly cut: (stack: Stack, name: string) => Promise<void>
  readonly mend: (stack: Stack, name: string) => Promise<void>
}

const signal = (name: NodeJS.Signals) => (stack: Stack, node: string) => Effect.runPromise(stack.processes.get(node)!.kill(name))

/** Where no network can be cut: the node stands still, its connections stay open. */
export const freezing: CutOff = { how: "frozen with SIGSTOP", cut: signal("SIGSTOP"), mend: signal("SIGCONT") }
