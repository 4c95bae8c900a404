import { Effect } from "effect"

/** What a command does is loaded when it is asked for, so that a short one starts fast. */
export const load = <Module, A, E, R>(module: () => Promise<Module>, run: (module: Module) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(Effect.promise(module), run)
