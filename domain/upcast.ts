/**
 * Stored envelopes of an older schema version, brought to today's shape one version at a time.
 * To change a stored shape: append its upcaster here, raise nothing else, and keep the old JSON as a fixture in its test.
 */
export type Upcaster = (envelope: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>

/** `upcasters[n]` takes version n + 1 to version n + 2. */
export const upcasters: ReadonlyArray<Upcaster> = []

export const schemaVersion = (chain: ReadonlyArray<Upcaster> = upcasters): number => chain.length + 1

export const upcast = (
  envelope: Readonly<Record<string, unknown>>,
  from: number,
  chain: ReadonlyArray<Upcaster> = upcasters
): Readonly<Record<string, unknown>> => chain.slice(from - 1).reduce((shape, step) => step(shape), envelope)
