/** A build that fills the disk it shares with another one, on one worker: a small disk, real programs, a real stack. */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { afterAll } from "vitest"
import { v7 } from "uuid"
import { execute } from "../../../apps/execute.ts"
import { RequestCompose } from "../../../domain/compose-commands.ts"
import { ComposeId, Millis, type TenantId } from "../../../domain/ids.ts"
import { ImageBuilders } from "../../../domain/ports/image-builder.ts"
import { commandBuilder } from "../../../infra/command-builder/builder.ts"
import { CommandDistribution } from "../../../infra/command-builder/settings.ts"
import { mountsNothing, smallDisk } from "../../support/small-disk.ts"
import { Folder, historyOf, newTenant, SmallStack, startProjector, startScheduler, startWorker, until } from "../../support/small-stack.ts"

/** What the test and the programs tell each other: files, by name. */
const signs = mkdtempSync(join(tmpdir(), "kiln-signs-"))
afterAll(() => rmSync(signs, { recursive: true, force: true }))
const sign = (name: string) => join(signs, name)

const artifact = JSON.stringify({ artifact: { path: "output/a.tar", format: "tar", filename: "a.tar", media_type: "application/x-tar" } })
const program = (distribution: string, script: string) => Schema.decodeUnknownSync(CommandDistribution)({
  distribution, builder: "command", program: ["bash", "-euc", `${script}; echo made >output/a.tar; echo '${artifact}'`], architectures: { x86_64: { tree: {} } }
})
/** The first try takes what it can get; the next one is modest. */
const greedy = (name: string, take: string) => program(name, `if mkdir ${sign(name)} 2>/dev/null; then ${take}; fi`)
const builder = commandBuilder([
  // Writes all the time, and ends when it is told to.
  program("steady", `echo begun >${sign("steady")}; until [ -e ${sign("end")} ]; do head -c 1000000 /dev/zero >part; sleep 0.05; done; head -c 8000000 /dev/zero >rest`),
  // Waits without a word, so that nothing of it is in the way of somebody who really fills the disk.
  program("still", `echo begun >${sign("still")}; until [ -e ${sign("go-on")} ]; do sleep 0.05; done; head -c 8000000 /dev/zero >rest`),
  greedy("most", "head -c 40000000 /dev/zero >big; sleep 300"),
  greedy("all", "cat /dev/zero >big"),
  program("modest", ":")
])
const WithCommands = Layer.succeed(ImageBuilders, ImageBuilders.of({ builders: new Map([[builder.name, builder]]) }))

const request = Effect.fnUntraced(function*(tenantId: TenantId, distribution: string) {
  const composeId = ComposeId.make(v7())
  yield* execute(
    { tenantId, messageId: `request-${composeId}`, at: Millis.make(Date.now()), actor: { kind: "requester", id: "test" } },
    RequestCompose.make({ composeId, builder: builder.name, resolves: false, request: { distribution, images: [{ architecture: "x86_64", type: "tree" }] } })
  )
  return historyOf(tenantId, composeId)
})
type History = Effect.Success<ReturnType<typeof historyOf>>

const has = (tag: History[number]["_tag"]) => (events: History) => events.some(({ _tag }) => _tag === tag)
const failuresIn = (events: History) => events.flatMap((event) => event._tag === "JobFailed" ? [event.failure] : [])
const statusOf = (events: History) => events.flatMap((event) => event._tag === "ComposeFinished" ? [event.outcome] : [])
const untilThere = (name: string) => until(Effect.sync(() => existsSync(sign(name))), (isThere) => isThere)

describe("a disk that is full", () => {
  it.live("fails the build that fills it, as the platform's, and neither the one beside it nor the worker", (context) =>
    Effect.gen(function*() {
      const { dir } = yield* Folder
      const work = join(dir, "work", "w1")
      if (!(yield* smallDisk(work, "64m"))) return context.skip(mountsNothing)
      yield* startScheduler()
      yield* startProjector
      yield* startWorker("w1", { abilities: { slots: { resolve: 1, build: 2, upload: 1 } } })
      const tenant = newTenant()

      for (const [neighbour, greed, tell] of [["steady", "most", "end"], ["still", "all", "go-on"]] as const) {
        const beside = yield* request(tenant, neighbour)
        yield* untilThere(neighbour)
        const filling = yield* until(yield* request(tenant, greed), has("ComposeFinished"))
        const [failure, ...others] = failuresIn(filling)
        assert.deepStrictEqual(others, [])
        assert.strictEqual(failure?.class, "platform")
        assert.match(failure?.message ?? "", /no space left on this worker's disk$/u)
        assert.deepStrictEqual(statusOf(filling), ["succeeded"])

        writeFileSync(sign(tell), "")
        const ended = yield* until(beside, has("ComposeFinished"))
        assert.deepStrictEqual([failuresIn(ended), statusOf(ended)], [[], ["succeeded"]])
      }
      assert.deepStrictEqual(statusOf(yield* until(yield* request(tenant, "modest"), has("ComposeFinished"))), ["succeeded"])
      yield* until(Effect.sync(() => readdirSync(work)), (names) => names.length === 0)
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(WithCommands, SmallStack))), 120_000)
})
