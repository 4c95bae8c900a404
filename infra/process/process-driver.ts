/** Workers as processes of this machine. They end with their scaler, and hand back what they have. */
import { Duration, Effect, Exit, Layer, Schema, Scope } from "effect"
import { randomBytes } from "node:crypto"
import { mkdir, rm } from "node:fs/promises"
import { join } from "node:path"
import { ScaleDriver, ScaleFailed } from "../../domain/ports/scale-driver.ts"
import type { InstanceState } from "../../domain/scaling/instance.ts"
import { type Child, type ChildOptions, dieWithParent, spawnChild } from "./child.ts"
import { workerEnvironment } from "./worker-environment.ts"

export const ProcessSettings = Schema.Struct({
  type: Schema.Literal("process"),
  /** Each worker gets a folder of its own in it, gone when the worker is. */
  work: Schema.NonEmptyString,
  /** What all of them say. */
  log: Schema.NonEmptyString,
  /** `KILN_WORKER_TOKEN_FILE` and whatever else differs from the scaler's own environment. */
  env: Schema.Record(Schema.String, Schema.String).pipe(Schema.withDecodingDefaultKey(Effect.succeed({}))),
  /** How long a worker may take to hand back what it has. */
  graceSeconds: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 600 })).pipe(Schema.withDecodingDefaultKey(Effect.succeed(30)))
})

export interface WorkerProgram {
  readonly argv: ChildOptions["argv"]
  /** Pool and slots among them; what a worker must not see is left out here. */
  readonly env: NodeJS.ProcessEnv
}

interface Worker {
  readonly child: Child
  state: InstanceState
}

export const ProcessDriver = (settings: typeof ProcessSettings.Type, { argv, env }: WorkerProgram) =>
  Layer.effect(ScaleDriver, Effect.gen(function*() {
    const scope = yield* Scope.fork(yield* Effect.scope, "parallel")
    const workers = new Map<string, Worker>()

    const begin = Effect.fnUntraced(function*() {
      const name = `scaled-${randomBytes(4).toString("hex")}`
      const work = join(settings.work, name)
      const own = yield* Scope.fork(scope)
      yield* Effect.promise(() => mkdir(work, { recursive: true }))
      const child = yield* spawnChild({
        argv: dieWithParent("SIGTERM", argv),
        env: {
          ...workerEnvironment({ ...env, ...settings.env }),
          // One port for all of them would go to one of them.
          KILN_WORKER: name, KILN_WORK: work, KILN_ADMIN_PORT: undefined
        },
        output: settings.log,
        grace: Duration.seconds(settings.graceSeconds)
      }).pipe(
        Scope.provide(own),
        Effect.mapError(({ message }) => new ScaleFailed({ driver: "process", operation: "grow", message: `a worker cannot be started: ${message}` }))
      )
      workers.set(name, { child, state: "running" })
      yield* child.exited.pipe(
        Effect.tap(({ code, signal }) => workers.get(name)?.state === "stopping"
          ? Effect.logInfo("a worker is gone", { worker: name })
          : Effect.logWarning("a worker has ended by itself", { worker: name, code, signal, log: settings.log })),
        Effect.andThen(Effect.sync(() => workers.delete(name))),
        Effect.andThen(Effect.promise(() => rm(work, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined))),
        Effect.andThen(Scope.close(own, Exit.void)),
        Effect.forkIn(scope)
      )
    })
    const present = () => [...workers.values()].filter(({ state }) => state !== "stopping").length

    return ScaleDriver.of({
      list: Effect.sync(() => [...workers].map(([name, { state }]) => ({ id: name, worker: name, state }))),
      grow: (to) => Effect.whileLoop({ while: () => present() < to, body: begin, step: () => {} }),
      remove: (ids) =>
        Effect.forEach(ids, (id) => {
          const worker = workers.get(id)
          if (worker === undefined || worker.state === "stopping") return Effect.void
          worker.state = "stopping"
          return Effect.forkIn(worker.child.stop, scope)
        }, { discard: true }),
      protect: () => Effect.void
    })
  }))
