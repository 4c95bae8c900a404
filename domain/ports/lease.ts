import { Context, type Effect, Schema, type Scope } from "effect"

/** Another instance works now, or nobody can tell; whoever held the lease must stop at once. */
export class LeaseLost extends Schema.TaggedError<LeaseLost>()("LeaseLost", { name: Schema.String, message: Schema.String }) {}

export interface Held {
  /** Grows with every change of hands. */
  readonly fence: number
  /** False as soon as the lease may have run out by our own clock, as after a pause of this process; then nothing may be done. */
  readonly isHeld: () => boolean
  /** Fails when the lease is not ours any more; never succeeds. */
  readonly lost: Effect.Effect<never, LeaseLost>
}

/** The right to be the only one of a kind. Given back when the scope closes, taken away when it is not renewed. */
export class Leases extends Context.Service<Leases, {
  /** Waits until the lease is free. An owner gets its own lease back at once: its predecessor is known to be dead. */
  acquire(name: string, owner: string): Effect.Effect<Held, LeaseLost, Scope.Scope>
}>()("domain/ports/Leases") {}
