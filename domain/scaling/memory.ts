/** What a scaler has to remember from one look to the next. All of it may be lost: then it only waits longer before it shrinks. */
import type { Instance } from "./instance.ts"

export interface Memory {
  /** Since when demand has been heard without a gap. */
  readonly heardSince?: number
  /** When the last step was taken. */
  readonly steppedAt?: number
  /** How many workers were wanted, newest last, each more than all after it: the first is the most of the whole time. */
  readonly wanted: ReadonlyArray<{ readonly at: number; readonly workers: number }>
  /** Since when instances have run without a word of their worker. */
  readonly silentSince: ReadonlyMap<string, number>
}

export const nothingKnown: Memory = { wanted: [], silentSince: new Map() }

export const deaf = ({ steppedAt }: Memory): Memory => ({ ...nothingKnown, ...(steppedAt !== undefined && { steppedAt }) })

export const stepped = (memory: Memory, now: number): Memory => ({ ...memory, steppedAt: now })

export const hear = (memory: Memory, now: number, workers: number, windowMs: number): Memory => ({
  ...memory,
  heardSince: memory.heardSince ?? now,
  wanted: [...memory.wanted.filter((entry) => entry.workers > workers && entry.at > now - windowMs), { at: now, workers }]
})

export const watch = (memory: Memory, now: number, silent: ReadonlyArray<Instance>): Memory => ({
  ...memory, silentSince: new Map(silent.map(({ id }) => [id, memory.silentSince.get(id) ?? now]))
})

/** The most workers that were wanted at any time that is remembered. */
export const mostWanted = ({ wanted }: Memory): number => wanted[0]?.workers ?? 0
