import { Effect } from "effect"

/** Until the scope ends. `undefined`: without that variable. */
export const withEnvironment = (values: Readonly<Record<string, string | undefined>>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const before = Object.fromEntries(Object.keys(values).map((name) => [name, process.env[name]]))
      set(values)
      return before
    }),
    (before) => Effect.sync(() => set(before))
  )

const set = (values: Readonly<Record<string, string | undefined>>) => {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
}
