/** `npm start` */
import { parseArgs } from "node:util"
import { Cause, Effect, Exit, Fiber } from "effect"
import { kilnAt, Kiln } from "../operator/client.ts"
import { Output, outputOf, print } from "../operator/output.ts"
import { span } from "../operator/units.ts"
import { enoughDisk, makeHome, missingTools, portFree, serverTools } from "./checks.ts"
import { publishEndpoint, removeEndpoint } from "./endpoint-file.ts"
import { builtBefore, firstImage } from "./first-image.ts"
import { lockHome } from "./home-lock.ts"
import { help, type Settings, settingsOf } from "./settings.ts"
import { type Stack, startStack } from "./stack.ts"
import { startFailed } from "./start-failed.ts"
import { bootWords, reachWords } from "./words.ts"

const check = Effect.fnUntraced(function*({ firstImage: wanted, home, host, port }: Settings) {
  yield* makeHome(home)
  yield* lockHome(home)
  yield* removeEndpoint(home)
  const wants = wanted && builtBefore(home)._tag === "None"
  if (wants) yield* enoughDisk(home)
  yield* portFree(host, port)
  yield* serverTools
  const missing = wants ? missingTools() : []
  if (missing.length === 0) return wants
  return yield* startFailed(
    `A first image cannot be built without ${missing.join(", ")}: run npm start, which installs what is missing, or add --no-first-image`
  )
})

/** Everything after is extra: whatever comes of it, Kiln goes on serving. */
const showFirstImage = Effect.fnUntraced(function*({ home, images }: Settings) {
  yield* firstImage(home, images).pipe(
    Effect.flatMap((built) => print(...bootWords(built))),
    Effect.catch(({ message }) => print("", `The first image could not be had: ${message}`, "Kiln goes on serving; the next npm start tries again"))
  )
})

const serve = Effect.fnUntraced(function*(settings: Settings) {
  const wantsImage = yield* check(settings)
  const say = (line: string) => void process.stdout.write(`${line}\n`)
  const stack: Stack = yield* startStack({ ...settings, say })
  const endpoint = yield* publishEndpoint(stack)
  yield* print(`Kiln serves at ${stack.url} after ${span(performance.now())}; what it keeps is in ${settings.home}`)
  if (wantsImage) yield* Effect.provideService(showFirstImage(settings), Kiln, kilnAt(endpoint))
  else if (settings.firstImage) {
    const before = builtBefore(settings.home)
    if (before._tag === "Some") yield* print(`This home's first image is built already: ${before.value}`)
  }
  yield* print(...reachWords(stack.url, settings.home), "Ctrl-C stops Kiln.")
  return yield* Effect.never
})

const arguments_ = () => {
  try {
    return parseArgs({ options: { "no-first-image": { type: "boolean" }, help: { type: "boolean", short: "h" } } }).values
  } catch (error) {
    process.stderr.write(`${(error as Error).message.split(". ")[0]}; npm start -- --help says more\n`)
    return process.exit(2)
  }
}

const main = async () => {
  if (arguments_().help === true) return void process.stdout.write(help)
  // What is written after the terminal is gone must not keep us from stopping well.
  process.stdout.on("error", () => {})
  const program = Effect.scoped(Effect.flatMap(settingsOf(process.env, process.argv.slice(2)), serve))
  const fiber = Effect.runFork(Effect.provideService(program, Output, outputOf({ json: false, utc: false })))
  let asked: number | undefined
  const stop = () => {
    // npm passes on what the terminal has sent us already, so two at once are one.
    if (asked !== undefined && performance.now() - asked < 500) return
    // Our children hear of our end from the kernel.
    if (asked !== undefined) process.exit(130)
    asked = performance.now()
    process.stdout.write("\nStopping, workers first; Ctrl-C again forces it …\n")
    fiber.interruptUnsafe()
  }
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop)
  const exit = await Effect.runPromise(Fiber.await(fiber))
  process.exit(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : explain(exit.cause))
}

/** Sentences for what is known to happen; anything else is a fault of Kiln, with all there is to find it. */
const explain = (cause: Cause.Cause<{ readonly message: string }>) => {
  const known = Cause.findErrorOption(cause)
  process.stderr.write(`${known._tag === "Some" ? known.value.message : `Kiln has a fault of its own:\n${Cause.pretty(cause)}`}\n`)
  return 1
}

await main()
