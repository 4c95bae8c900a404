/** A job's voice: progress and lines on their way to whoever watches, and the log that is kept when the job has ended. */
import { gzipSync } from "node:zlib"
import type { Progress, Report } from "../../domain/ports/image-builder.ts"

const progressEveryMs = 200
const linesEveryMs = 50
const linesAtOnce = 500
const headChars = 256 * 1024
const tailChars = 768 * 1024
const longestLine = 8192

export interface Feed extends Report {
  /** Sends the lines that are still held back. The whole log, gzip in base64, or its beginning and end if it is very long; nothing if there was none. */
  end(): string | undefined
}

interface Wire {
  progress(progress: Progress): void
  lines(lines: ReadonlyArray<string>): void
}

export const makeFeed = (wire: Wire): Feed => {
  const log = new BoundedLog()
  let lines: Array<string> = []
  let linesTimer: NodeJS.Timeout | undefined
  let latest: Progress | undefined
  // Nothing is said of what is over before anybody can look.
  let sent: { readonly stage: string | undefined; readonly at: number } = { stage: undefined, at: Date.now() }
  let progressTimer: NodeJS.Timeout | undefined

  const sendLines = () => {
    clearTimeout(linesTimer)
    linesTimer = undefined
    if (lines.length > 0) wire.lines(lines)
    lines = []
  }
  const sendProgress = () => {
    clearTimeout(progressTimer)
    progressTimer = undefined
    if (latest === undefined) return
    sent = { stage: latest.stage, at: Date.now() }
    wire.progress(latest)
    latest = undefined
  }

  return {
    line: (text) => {
      for (const line of text.split("\n")) {
        const bounded = line.slice(0, longestLine)
        log.add(bounded)
        lines.push(bounded)
      }
      if (lines.length >= linesAtOnce) sendLines()
      else linesTimer ??= setTimeout(sendLines, linesEveryMs)
    },
    progress: (progress) => {
      latest = progress
      const wait = sent.at + progressEveryMs - Date.now()
      if ((sent.stage !== undefined && progress.stage !== sent.stage) || wait <= 0) sendProgress()
      else progressTimer ??= setTimeout(sendProgress, wait)
    },
    end: () => {
      sendLines()
      // Its result says more than its last progress.
      clearTimeout(progressTimer)
      return log.isEmpty ? undefined : gzipSync(log.text()).toString("base64")
    }
  }
}

/** Keeps the beginning and the end, since errors are told at the end and causes often at the beginning. */
class BoundedLog {
  readonly #head: Array<string> = []
  #headSize = 0
  #tail: Array<string> = []
  #tailSize = 0
  #first = 0
  #dropped = 0

  get isEmpty(): boolean {
    return this.#head.length === 0
  }

  add(line: string): void {
    if (this.#headSize < headChars && this.#tail.length === 0) {
      this.#head.push(line)
      this.#headSize += line.length + 1
      return
    }
    this.#tail.push(line)
    this.#tailSize += line.length + 1
    while (this.#tailSize > tailChars) {
      this.#tailSize -= this.#tail[this.#first]!.length + 1
      this.#first += 1
      this.#dropped += 1
    }
    if (this.#first > 10_000) {
      this.#tail = this.#tail.slice(this.#first)
      this.#first = 0
    }
  }

  text(): string {
    const gap = this.#dropped > 0 ? [`… ${this.#dropped} lines left out …`] : []
    return `${[...this.#head, ...gap, ...this.#tail.slice(this.#first)].join("\n")}\n`
  }
}
