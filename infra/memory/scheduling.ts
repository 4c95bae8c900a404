import { Context, Effect, Layer } from "effect"
import { Scheduling, SchedulerSilent, SchedulingAnswers, type SchedulingDesk } from "../../domain/ports/scheduling.ts"

/** Both ends; silent while nobody serves. */
export const SchedulingInMemory = Layer.effectContext(Effect.sync(() => {
  const desks = new Set<SchedulingDesk>()
  const ask = <A>(look: (desk: SchedulingDesk) => A | undefined) =>
    Effect.suspend(() => {
      for (const desk of desks) {
        const answer = look(desk)
        if (answer !== undefined) return Effect.succeed(answer)
      }
      return Effect.fail(new SchedulerSilent({ message: "no scheduler answers" }))
    })
  return Context.make(Scheduling, Scheduling.of({
    workers: (name) => ask((desk) => desk.workers(name)),
    pools: ask((desk) => desk.pools()),
    waiting: (tenantId, composeId) => ask((desk) => desk.waiting(tenantId, composeId)),
    discard: (name, digest) => ask((desk) => desk.discard(name, digest)),
    retention: (tenantId, now) => ask((desk) => desk.retention(tenantId, now)),
    reaper: (sweep) => ask((desk) => desk.reaper(sweep)),
    errand: (tenantId, asked) => Effect.flatten(ask((desk) => desk.errand?.(tenantId, asked)))
  })).pipe(Context.add(SchedulingAnswers, SchedulingAnswers.of({
    serve: (desk) =>
      Effect.acquireUseRelease(Effect.sync(() => desks.add(desk)), () => Effect.never, () => Effect.sync(() => desks.delete(desk)))
  })))
}))
