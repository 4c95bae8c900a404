/** What all long-running processes have in common: JSON logs, a clean end on SIGTERM, one clear line when they cannot start. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Cause, Effect, Logger, References } from "effect"

const jsonLogs = Logger.layer([Logger.consoleJson])

/** Runs until it fails or is told to go. Exit code 130 after SIGTERM or SIGINT is a clean end. */
export const runProcess = <E extends { readonly message: string }>(name: string, program: Effect.Effect<void, E>): void => {
  for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => endWithin(name))
  program.pipe(
    Effect.tapCause((cause) =>
      Cause.hasInterruptsOnly(cause) ? Effect.logInfo("stopped") : Effect.logFatal("ended", cause)),
    Effect.annotateLogs({ process: name }),
    Effect.provide(jsonLogs),
    // Nobody collects spans yet, and each costs as much as a small request. Composes keep their trace ids without.
    Effect.provideService(References.TracerEnabled, false),
    NodeRuntime.runMain({ disableErrorReporting: true })
  )
}

/** A server that is away must not keep a process that was told to go: all that matters is in the log by then. */
const stopWithinMs = 30_000

const endWithin = (name: string): void =>
  void setTimeout(() => {
    const message = `not stopped within ${stopWithinMs / 1000} s: ended`
    process.stdout.write(`${JSON.stringify({ message, level: "WARN", timestamp: new Date().toISOString(), annotations: { process: name } })}\n`)
    process.exit(1)
  }, stopWithinMs).unref()
