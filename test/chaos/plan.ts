/** What a seed stands for: which process dies when, and what each tenant asks for. */
import { type Random, randomOf } from "./random.ts"

export interface Kill {
  /** Milliseconds since the one before; 0 for two at once. */
  readonly after: number
  readonly name: string
  /** Milliseconds for which it is cut off, instead of being killed. */
  readonly cutFor?: number
}

/** Nodes of a cluster, of which one at a time may be away. */
export const isNode = (name: string) => /^nats-\d$/.test(name)

export const killsOf = (seed: number, names: ReadonlyArray<string>, count: number, paceMs: number, cutOff = false): ReadonlyArray<Kill> => {
  const random = randomOf(seed)
  return Array.from({ length: count }, () => {
    const name = random.pick(names)
    const after = random.chance(0.1) ? 0 : Math.min(4 * paceMs, Math.round(-Math.log(1 - random.next()) * paceMs))
    return cutOff && isNode(name) && random.chance(0.5) ? { name, after, cutFor: random.between(5000, 20_000) } : { name, after }
  })
}

/** One compose that a tenant wants, under one Idempotency-Key. */
export interface Ask {
  readonly tenant: string
  readonly key: string
  readonly body: { readonly name: string } & Readonly<Record<string, unknown>>
  /** How it ends unless somebody cancels it. */
  readonly ends: "succeeded" | "failed"
  /** How often the same request is sent again once it was answered, and how many times at once the first time. */
  readonly again: number
  readonly atOnce: number
  /** Milliseconds from the answer to the wish to cancel. */
  readonly cancelAfter: number | undefined
  /** Milliseconds until the tenant's next one. */
  readonly pause: number
}

/** The same for the same seed, however far it gets. */
export function* asksOf(seed: number, tenant: string): Generator<Ask, never> {
  const random = randomOf(seed ^ hash(tenant))
  for (let index = 1; ; index++) yield askOf(random, tenant, `${seed}-${tenant}-${index}`)
}

const askOf = (random: Random, tenant: string, key: string): Ask => {
  const fails = random.chance(0.12)
  const images = Array.from({ length: random.chance(0.2) ? 2 : 1 }, (_, at) => ({
    architecture: random.chance(0.25) ? "aarch64" : "x86_64",
    type: "simulated",
    options: {
      duration_ms: random.pick([0, 0, 50, 200, 500, 1500, 3000]),
      lines: random.pick([0, 3, 40]),
      bytes: random.pick([1, 1024, 100_000]),
      ...(fails && at === 0 && { fail_with: "user" })
    }
  }))
  return {
    tenant, key,
    body: { distribution: "test-distro-1", name: key, images },
    ends: fails ? "failed" : "succeeded",
    again: random.chance(0.15) ? 1 : 0,
    atOnce: random.chance(0.1) ? 3 : 1,
    cancelAfter: random.chance(0.12) ? random.between(0, 2500) : undefined,
    pause: random.between(100, 900)
  }
}

const hash = (text: string) => [...text].reduce((sum, letter) => Math.imul(sum ^ letter.charCodeAt(0), 16_777_619), 2_166_136_261)
