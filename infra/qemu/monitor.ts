/** The emulator's monitor, as far as we need it: one JSON object a line, an answer for each command, in order. */
import type { Duplex } from "node:stream"
import { Effect } from "effect"

interface Answer {
  readonly return?: unknown
  readonly error?: { readonly desc: string }
}

export class Monitor {
  readonly #waiting: Array<(answer: Answer) => void> = []
  readonly #stream: Duplex
  #rest = ""
  #isOpen = false

  constructor(stream: Duplex) {
    this.#stream = stream
    stream.setEncoding("utf8").on("data", (text: string) => {
      const lines = (this.#rest + text).split("\n")
      this.#rest = lines.pop()!
      for (const line of lines) this.#take(line)
    })
  }

  /** Answers with what went wrong, if something did. */
  run(execute: string, args: Readonly<Record<string, unknown>> = {}): Effect.Effect<string | undefined> {
    return Effect.callback<string | undefined>((resume) => {
      if (!this.#isOpen) {
        this.#isOpen = true
        this.#say("qmp_capabilities", {}, () => {})
      }
      this.#say(execute, args, ({ error }) => resume(Effect.succeed(error?.desc)))
    })
  }

  close(): void {
    for (const wait of this.#waiting.splice(0)) wait({ error: { desc: "the emulator has ended" } })
  }

  #say(execute: string, args: Readonly<Record<string, unknown>>, answered: (answer: Answer) => void): void {
    this.#waiting.push(answered)
    this.#stream.write(`${JSON.stringify({ execute, arguments: args })}\n`)
  }

  /** Events and the greeting are nobody's answer. */
  #take(line: string): void {
    let answer: Answer
    try {
      answer = JSON.parse(line) as Answer
    } catch {
      return
    }
    if ("return" in answer || "error" in answer) this.#waiting.shift()?.(answer)
  }
}
