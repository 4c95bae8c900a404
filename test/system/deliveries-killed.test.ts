/**
 * A worker's process is killed -9 while it delivers to every cloud at once, each delivery at another step of its flow: the
 * stand-ins have carried the step out, and answer neither it nor a later one. Then it begins again, and what there is is counted.
 * `KILN_TEST_EVERY_STEP=1`: at each step of each flow, with the worker's journals and without.
 */
import { rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { v7 } from "uuid"
import { execute } from "../../apps/execute.ts"
import { RequestCompose } from "../../domain/compose-commands.ts"
import { ComposeId, JobId, Millis } from "../../domain/ids.ts"
import { dieWithParent, spawnChild } from "../../infra/process/child.ts"
import { registryImpossible } from "../support/docker-registry.ts"
import { needs, skipWhere } from "../support/needs.ts"
import { type Cloud, clouds } from "../support/stopping-clouds.ts"
import { temporaryFolder, TestNats } from "../support/servers.ts"
import { newTenant, pool, SmallStack, startScheduler, stateOf, until } from "../support/small-stack.ts"
import type { WorkerProcess } from "../support/worker-process.ts"

const isSweep = process.env["KILN_TEST_EVERY_STEP"] === "1"
/** Kills, when not every step is asked for: spread over each flow, its first and its last step among them. */
const fewKills = 6
const impossible = registryImpossible()

/** A worker that can be killed and begun again; what it holds stays. */
const killable = Effect.fnUntraced(function*(given: Omit<WorkerProcess, "servers" | "dir">) {
  const { url: servers } = yield* TestNats
  const dir = yield* temporaryFolder
  const settings: WorkerProcess = { ...given, servers, dir }
  const begin = spawnChild({
    argv: dieWithParent("SIGKILL", [process.execPath, join(import.meta.dirname, "../support/worker-process.ts"), JSON.stringify(settings)]),
    output: join(dir, "log"), env: process.env
  })
  let child = yield* begin
  return {
    dir,
    kill: Effect.suspend(() => Effect.andThen(child.signal("SIGKILL"), child.exited)),
    beginAgain: Effect.tap(begin, (next) => Effect.sync(() => void (child = next)))
  }
})

/** One image for all clouds. */
const request = Effect.fnUntraced(function*(all: ReadonlyArray<Cloud>) {
  const [tenantId, composeId] = [newTenant(), ComposeId.make(v7())]
  const targets = all.map(({ name, targetOf }) => ({ ...targetOf(composeId), credentials: name }))
  yield* execute(
    { tenantId, messageId: `request-${composeId}`, at: Millis.make(Date.now()), actor: { kind: "requester", id: "test" } },
    RequestCompose.make({
      composeId, builder: "simulated", resolves: false,
      request: { distribution: "test-distro-1", images: [{ architecture: "x86_64", type: "simulated", targets }] }
    })
  )
  return { composeId, state: stateOf(tenantId, composeId) }
})

/** How each round treats the worker's journals: without them it is as if another worker went on. */
const rounds: ReadonlyArray<readonly [words: string, loses: (kill: number) => boolean]> = isSweep
  ? [["with its journals", () => false], ["without its journals", () => true]]
  : [["with its journals and without by turns", (kill) => kill % 2 === 1]]

// The layer has no name, so that it is not built where the tests are skipped; it is gone after the last try that it has counted.
describe("a worker killed -9 while it delivers to S3, EC2, Google, Azure and a registry", { retry: 0 }, () => {
  skipWhere(impossible !== undefined, impossible ?? "")
  needs("qemu-img", "pigz", "tar")
  layer(SmallStack, { excludeTestServices: true })((it) => {
    for (const [words, loses] of rounds) {
      it.effect(`given it died at any step, when it is back ${words}, then there is one image in each cloud and nothing beside it`, () =>
        Effect.gen(function*() {
          const { all, ca } = yield* clouds
          yield* startScheduler()
          const credentialsFile = join(yield* temporaryFolder, "credentials.json")
          writeFileSync(credentialsFile, JSON.stringify(Object.fromEntries(all.map(({ credentials, name }) => [name, credentials]))), { mode: 0o600 })
          const worker = yield* killable({ name: `w-${v7()}`, scope: pool, credentialsFile, ca })

          const whole = yield* request(all)
          yield* delivered(all, whole, "never killed")
          const flows = all.map((cloud) => ({ ...cloud, steps: cloud.calls() }))
          assert.isAtLeast(Math.min(...flows.map(({ steps }) => steps)), 5)
          const kills = isSweep ? Math.max(...flows.map(({ steps }) => steps)) : fewKills
          const stepOf = (kill: number, steps: number) =>
            isSweep ? Math.min(kill + 1, steps) : 1 + Math.round((kill / (kills - 1)) * (steps - 1))

          for (let kill = 0; kill < kills; kill++) {
            const stopped = flows.map(({ at, name, steps }) => ({ name, step: stepOf(kill, steps), reached: at(stepOf(kill, steps)) }))
            const when = stopped.map(({ name, step }) => `${name} at step ${step}`).join(", ")
            const asked = yield* request(all)
            // How often is looked at what takes its time differs: a flow may be over before.
            yield* Effect.forEach(stopped, ({ reached }, at) => Effect.raceFirst(
              Effect.promise(() => reached),
              until(asked.state, ({ jobs }) => jobs.get(JobId.make(`0-upload-${at}`))?.state === "succeeded", "60 seconds")
            ), { concurrency: "unbounded", discard: true })
            yield* worker.kill
            for (const { reset } of flows) reset()
            if (loses(kill)) rmSync(join(worker.dir, "journals"), { recursive: true })
            yield* worker.beginAgain
            yield* delivered(all, asked, when)
          }
          yield* Effect.logInfo("killed", { kills, steps: Object.fromEntries(flows.map(({ name, steps }) => [name, steps])) })
        }).pipe(Effect.scoped), isSweep ? 900_000 : 180_000)
    }
  })
})

const delivered = Effect.fnUntraced(function*(all: ReadonlyArray<Cloud>, { composeId, state }: Effect.Success<ReturnType<typeof request>>, when: string) {
  const compose = yield* until(state, ({ status }) => status !== "open" && status !== "absent", "90 seconds")
  const outcomes = all.map(({ name }, at) => `${name} ${compose.jobs.get(JobId.make(`0-upload-${at}`))?.state}`)
  assert.deepStrictEqual(outcomes, all.map(({ name }) => `${name} succeeded`), when)
  for (const { left, name } of all) assert.deepStrictEqual(yield* left(composeId), "one image", `${name}, ${when}`)
})
