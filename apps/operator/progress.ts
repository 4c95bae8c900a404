/** How far something long has come, drawn again on a terminal, a line now and then elsewhere. */
import { Effect } from "effect"
import type { RebuildProgress } from "../projector/rebuild.ts"
import type { OutputShape } from "./output.ts"
import { span } from "./units.ts"

const width = 24

/** `what` it is about; `entries` counts what was taken in since the beginning. */
export const progressOf = ({ json, terminal, writeError }: OutputShape, what: string) => {
  const begun = performance.now()
  let [shownAt, entries, first] = [0, 0, undefined as number | undefined]
  const show = ({ head, position }: RebuildProgress) =>
    Effect.sync(() => {
      first ??= position
      entries = position
      if (json || performance.now() - shownAt < (terminal ? 200 : 5000)) return
      shownAt = performance.now()
      const seconds = Math.max(0.001, (shownAt - begun) / 1000)
      const rate = (position - first) / seconds
      const part = Math.min(1, position / Math.max(1, head))
      const bar = terminal ? `[${"#".repeat(Math.round(part * width)).padEnd(width, ".")}] ` : ""
      const left = rate > 0 ? ` · ${span(((head - position) / rate) * 1000)} left` : ""
      const line = `${what}: ${bar}${Math.floor(100 * part)} % · ${count(position)} of ${count(head)} · ${count(Math.round(rate))} a second${left}`
      writeError(terminal ? `\r\u001b[K${line}` : `${line}\n`)
    })
  const clear = Effect.sync(() => {
    if (terminal && !json && shownAt > 0) writeError("\r\u001b[K")
  })
  return { show, clear, entries: () => entries, seconds: () => Math.round(performance.now() - begun) / 1000 }
}

export const count = (value: number) => value.toLocaleString("en")
