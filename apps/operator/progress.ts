/** How far something long has come, drawn again on a terminal, a line now and then elsewhere. */
import { Effect } from "effect"
import type { RebuildProgress } from "../projector/rebuild.ts"
import type { OutputShape } from "./output.ts"
import { span } from "./units.ts"

const width = 24

interface Reach {
  readonly first: number
  readonly position: number
  readonly head: number
}
const sum = (reaches: Iterable<Reach>, of: (reach: Reach) => number) => [...reaches].reduce((total, reach) => total + of(reach), 0)

/** `what` it is about; streams count together. `entries`: what was taken in since the beginning. */
export const progressOf = ({ json, terminal, writeError }: OutputShape, what: string) => {
  const begun = performance.now()
  const reached = new Map<string, Reach>()
  let shownAt = 0
  const entries = () => sum(reached.values(), ({ first, position }) => position - first)
  const show = ({ head, position, stream }: RebuildProgress) =>
    Effect.sync(() => {
      reached.set(stream, { first: reached.get(stream)?.first ?? position, position, head })
      if (json || performance.now() - shownAt < (terminal ? 200 : 5000)) return
      shownAt = performance.now()
      const [at, end] = [sum(reached.values(), (reach) => reach.position), sum(reached.values(), (reach) => Math.max(reach.head, reach.position))]
      const rate = entries() / Math.max(0.001, (shownAt - begun) / 1000)
      const part = Math.min(1, at / Math.max(1, end))
      const bar = terminal ? `[${"#".repeat(Math.round(part * width)).padEnd(width, ".")}] ` : ""
      const left = rate > 0 ? ` · ${span(((end - at) / rate) * 1000)} left` : ""
      const line = `${what}: ${bar}${Math.floor(100 * part)} % · ${count(at)} of ${count(end)} · ${count(Math.round(rate))} a second${left}`
      writeError(terminal ? `\r\u001b[K${line}` : `${line}\n`)
    })
  const clear = Effect.sync(() => {
    if (terminal && !json && shownAt > 0) writeError("\r\u001b[K")
  })
  return { show, clear, entries, seconds: () => Math.round(performance.now() - begun) / 1000 }
}

export const count = (value: number) => value.toLocaleString("en")
