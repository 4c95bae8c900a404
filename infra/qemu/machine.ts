/** One machine in an emulator: what its serial port says, the agent's port, the monitor. Gone with its scope, whatever happens. */
import { type ChildProcess, spawn } from "node:child_process"
import type { Duplex, Readable } from "node:stream"
import { StringDecoder } from "node:string_decoder"
import { Effect, type Scope } from "effect"
import { BuildFailed } from "../../domain/ports/image-builder.ts"
import { AttemptMeter } from "../../domain/ports/meter.ts"
import { cpuMsOf } from "../process/cpu-time.ts"
import { path } from "../process/run.ts"
import { plainText } from "./console.ts"
import { Monitor } from "./monitor.ts"

export interface MachineOptions {
  readonly program: string
  readonly args: ReadonlyArray<string>
  /** The emulator's folder; it reads and writes by names in it. */
  readonly cwd: string
  readonly onLine?: (line: string) => void
}

/** File descriptors of the emulator, for its arguments. */
export const descriptors = { agent: 3, monitor: 4, firmwareLog: 5 } as const

const mostText = 1 << 20
const lookEveryMs = 1000
const mostAnswer = 1 << 24
const longestLine = 4096

/** Changed as it speaks; `until` looks again then. */
export class Machine {
  readonly #listeners = new Set<() => void>()
  readonly #child: ChildProcess
  readonly #onLine: (line: string) => void
  readonly #looks: NodeJS.Timeout
  #line = ""
  readonly monitor: Monitor
  /** All that it has said on its serial port, without escapes; of very much the beginning and the end. */
  console = ""
  /** What BIOS says to nobody else. */
  firmwareLog = ""
  /** What its agent has said. */
  answer = ""
  /** What the emulator itself complains of. */
  complaints = ""
  /** How it ended, once it has. */
  ended: string | undefined
  /** What of that is the emulator's own fault, or its host's, and none of the guest's. */
  fault: string | undefined
  /** What it has taken of the processors; of one that ended by itself, up to its last second. */
  cpuMs = 0

  constructor(child: ChildProcess, onLine: (line: string) => void) {
    this.#child = child
    this.#onLine = onLine
    this.monitor = new Monitor(child.stdio[descriptors.monitor] as Duplex)
    this.#hear(child.stdout, (text) => this.#print(text))
    this.#hear(child.stderr, (text) => {
      this.complaints = (this.complaints + text).slice(-longestLine)
      // It stands still then, and says nothing more.
      if (/KVM internal error/.test(this.complaints)) this.fault = this.complaints
    })
    const streams: ReadonlyArray<unknown> = child.stdio
    this.#hear(streams[descriptors.agent] as Readable, (text) => void (this.answer = (this.answer + text).slice(0, mostAnswer)))
    this.#hear(streams[descriptors.firmwareLog] as Readable, (text) => void (this.firmwareLog = (this.firmwareLog + text).slice(-mostText)))
    for (const stream of child.stdio) stream?.on("error", () => {})
    this.#looks = setInterval(() => this.#look(), lookEveryMs)
    child.once("error", ({ message }) => this.#end(`the emulator cannot be started: ${message}`))
    child.once("close", (code, signal) => this.#end(code === 0 ? undefined : `the emulator ended by ${signal ?? `exit ${code}`}: ${this.complaints.trim()}`))
  }

  tell(text: string): void {
    (this.#child.stdio[descriptors.agent] as Duplex).write(text)
  }

  /** Ends with what `look` finds, now or whenever there is something new. */
  until<A>(look: () => A | undefined): Effect.Effect<A> {
    return Effect.callback<A>((resume) => {
      const listener = () => {
        const found = look()
        if (found === undefined) return
        this.#listeners.delete(listener)
        resume(Effect.succeed(found))
      }
      this.#listeners.add(listener)
      listener()
      return Effect.sync(() => this.#listeners.delete(listener))
    })
  }

  kill(): Promise<void> {
    return new Promise((resolve) => {
      if (this.ended !== undefined) return resolve()
      this.#look()
      this.#child.once("close", () => resolve())
      this.#child.once("error", () => resolve())
      try {
        process.kill(-this.#child.pid!, "SIGKILL")
      } catch {
        // Gone already, or never there.
      }
    })
  }

  #look(): void {
    this.cpuMs = cpuMsOf(this.#child.pid ?? 0) || this.cpuMs
  }

  #hear(stream: Readable | null | undefined, take: (text: string) => void): void {
    const decoder = new StringDecoder("utf8")
    stream?.on("data", (bytes: Buffer) => {
      take(decoder.write(bytes))
      this.#changed()
    })
  }

  /** Line by line, since an escape may come in two parts. What has no end yet is printed all the same: a prompt has none. */
  #print(text: string): void {
    const lines = (this.#line + text).split("\n")
    const ends = this.console.length - plainText(this.#line).length
    this.#line = lines.pop()!.slice(-longestLine)
    const whole = lines.map((line) => plainText(`${line}\n`))
    this.console = bounded(this.console.slice(0, ends) + whole.join("") + plainText(this.#line))
    for (const line of whole) if (line.trim() !== "") this.#onLine(line.trimEnd())
  }

  #end(fault: string | undefined): void {
    if (this.ended !== undefined) return
    this.ended = fault ?? "the machine turned itself off"
    this.fault = fault
    this.monitor.close()
    clearInterval(this.#looks)
    this.#changed()
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }
}

const bounded = (text: string) =>
  text.length <= mostText ? text : `${text.slice(0, mostText / 4)}\n… some of it left out …\n${text.slice(-mostText / 2)}`

/** What runs in there was brought by somebody else: an emulator that is broken out of has as little as can be. It reads images of any owner. */
const confined = (program: string) => [
  "--pdeathsig", "KILL", "--no-new-privs", ...(process.getuid?.() === 0 ? ["--bounding-set=-all,+dac_read_search", "--inh-caps=-all"] : []), "--", program
]

export const startMachine = ({ args, cwd, onLine = () => {}, program }: MachineOptions): Effect.Effect<Machine, BuildFailed, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({
      try: () => {
        const child = spawn("setpriv", [...confined(program), ...args], {
          cwd, env: { PATH: path, HOME: cwd, TMPDIR: cwd, LC_ALL: "C.UTF-8" }, detached: true, stdio: ["ignore", "pipe", "pipe", "pipe", "pipe", "pipe"]
        })
        return new Machine(child, onLine)
      },
      catch: (error) => new BuildFailed({ class: "platform", message: `cannot start ${program}: ${String(error)}` })
    }),
    (machine) => Effect.andThen(Effect.promise(() => machine.kill()), Effect.map(AttemptMeter, (meter) => meter?.cpu(machine.cpuMs)))
  )
