/** Waiting for everything to come to an end: as long as there is progress, and no longer than is said. */
import type { Stack } from "../../apps/standalone/stack.ts"
import type { Book } from "./book.ts"
import { type Promised, sleep } from "./clients.ts"
import { gather } from "./evidence.ts"
import { type Evidence, verdictOf } from "./verdict.ts"

export interface RestOptions {
  /** For so long nothing may move before what is open counts as stuck. */
  readonly quietMs: number
  /** What is still open after this is stuck, whatever moves. */
  readonly atMostMs: number
}

export interface Rest {
  readonly evidence: Evidence
  readonly tookMs: number
  /** Composes that were open when it began. */
  readonly leftAtFirst: number
}

/** Longer than Kiln itself waits for anything: the holder of an image may keep silent about it for two minutes. */
export const usualQuietMs = 150_000

type Moving = Pick<Book, "movedAt" | "notBefore">

/** Why waiting any longer makes no sense, in a few words; nothing while it does. */
export const isOver = ({ movedAt, notBefore }: Moving, since: number, now: number, { atMostMs, quietMs }: RestOptions): string | undefined => {
  if (now - since > atMostMs) return `not at rest after ${seconds(atMostMs)}`
  return now - Math.max(since, movedAt, notBefore) > quietMs ? `nothing has moved for ${seconds(quietMs)}` : undefined
}

export const restOf = async (stack: Stack, book: Book, promised: ReadonlyArray<Promised>, options: RestOptions, say: (line: string) => void): Promise<Rest> => {
  const since = Date.now()
  const leftAtFirst = book.open
  let said = { at: since, text: "" }
  const tell = (text: string) => {
    if (text === said.text || Date.now() - said.at < 10_000) return
    said = { at: Date.now(), text }
    say(`not at rest after ${seconds(Date.now() - since)}: ${text}`)
  }
  for (;;) {
    const over = isOver(book, since, Date.now(), options)
    if (book.open > 0 && over === undefined) {
      tell(`${book.open} composes are open, ${book.ended} have ended`)
      await sleep(500)
      continue
    }
    const evidence = await gather(stack, promised)
    const { rows, stuck } = verdictOf(evidence)
    const [first] = [...stuck, ...rows]
    if (first === undefined || over !== undefined) {
      if (over !== undefined) say(over)
      return { evidence, leftAtFirst, tookMs: Date.now() - since }
    }
    tell(first)
    await sleep(1000)
  }
}

const seconds = (millis: number) => `${Math.round(millis / 1000)} s`
