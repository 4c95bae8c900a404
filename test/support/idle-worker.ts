/** A worker that says that it is there, takes what it is given, and does with it what a test wants. */
import { Effect, Queue } from "effect"
import { PoolScope } from "../../domain/ids.ts"
import type { Claim, Heartbeat } from "../../domain/work.ts"
import { bareWorker } from "./bare-worker.ts"

export const idleWorker = Effect.fnUntraced(function*(name: string, scope = PoolScope.make("default")) {
  const nc = yield* bareWorker(scope, name, `pool:${scope}`)
  const inbox = `_INBOX_${scope}_${name}.taken`
  const taken = yield* Queue.unbounded<Omit<Claim, "token">>()
  // Without a listener the server would give it nothing.
  nc.subscribe(inbox, {
    callback: (_, message) => {
      if (message.data.length > 0) Queue.offerUnsafe(taken, message.json<Claim>())
    }
  })
  const heartbeat = (more: Partial<Heartbeat> = {}) =>
    nc.publish(`worker.${scope}.${name}.heartbeat`, JSON.stringify({
      session: "s".repeat(16), architectures: ["x86_64"], slots: { resolve: 1, build: 1, upload: 1 }, running: [], draining: false, version: "1", at: Date.now(), ...more
    }))
  return {
    nc, taken, heartbeat,
    pull: () => nc.publish(`queues.CONSUMER.MSG.NEXT.JOBS.${scope}_${name}`, JSON.stringify({ batch: 10, expires: 1e9 }), { reply: inbox }),
    report: (report: object) => nc.publish(`worker.${scope}.${name}.result`, JSON.stringify([report])),
    leave: Effect.suspend(() => {
      heartbeat({ draining: true })
      return Effect.promise(() => nc.drain())
    })
  }
})
