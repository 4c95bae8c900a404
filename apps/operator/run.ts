/** From arguments to an exit code. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Effect, Exit, Fiber } from "effect"
import { CliConfig, CliError, CliOutput, Command, GlobalFlag } from "effect/cli"
import { Adapters } from "./adapters.ts"
import { CommandFailed, exitCodes } from "./command-failed.ts"
import { kiln } from "./command-tree.ts"
import { MakeOutput, outputOf, type OutputShape } from "./output.ts"

const interrupted = 130

const program = (args: ReadonlyArray<string>, adapters: Adapters["Service"], make: MakeOutput) =>
  Command.runWith(kiln, { version: "0.1.0" })(args).pipe(
    Effect.provideService(CliConfig.CliConfig, CliConfig.make({ builtIns: [GlobalFlag.Help, GlobalFlag.Version] })),
    Effect.provideService(CliOutput.Presenter, CliOutput.Presenter.of(presenter(make({ json: false, utc: false })))),
    Effect.provideService(MakeOutput, make),
    Effect.provideService(Adapters, adapters),
    Effect.provide(NodeServices.layer)
  )

/** A mistake gets a sentence instead of a page of help. */
const presenter = ({ writeError }: OutputShape): CliOutput.Presenter => ({
  present: (event) => {
    if (event._tag !== "InvalidInvocation") return CliOutput.defaultPresenter.present(event)
    const words = event.errors.map(({ message }) => message)
    return Effect.sync(() => writeError(`${[...words, `${event.commandPath.join(" ")} --help says more`].join("\n")}\n`))
  }
})

export const runKiln = async (
  args: ReadonlyArray<string>, adapters: Adapters["Service"], make: MakeOutput = outputOf
): Promise<number> => {
  const fiber = Effect.runFork(program(args, adapters, make))
  const stop = () => fiber.interruptUnsafe()
  process.once("SIGINT", stop).once("SIGTERM", stop)
  const exit = await Effect.runPromise(Fiber.await(fiber))
  process.off("SIGINT", stop).off("SIGTERM", stop)
  return Exit.isSuccess(exit) ? exitCodes.ok : explain(exit.cause, make({ json: args.includes("--json"), utc: false }))
}

const explain = (cause: Cause.Cause<unknown>, output: OutputShape): number => {
  if (Cause.hasInterruptsOnly(cause)) return interrupted
  const error = Cause.squash(cause)
  if (error instanceof CommandFailed) {
    say(error, output)
    return error.code
  }
  // Its words are on the screen already.
  if (CliError.isCliError(error)) return error._tag === "ShowHelp" && error.errors.length === 0 ? exitCodes.ok : exitCodes.invalid
  output.writeError(`kiln has a fault of its own:\n${Cause.pretty(cause)}\n`)
  return exitCodes.failed
}

const say = ({ code, message, problem }: CommandFailed, { json, writeError }: OutputShape) => {
  if (json) writeError(`${JSON.stringify({ error: { code, message, ...(problem === undefined ? {} : { problem }) } })}\n`)
  else if (message !== "") writeError(`${message}\n`)
}
