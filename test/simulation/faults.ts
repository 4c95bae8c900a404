/** What goes wrong while it goes wrong: every few seconds something else. */
import type { Policy } from "../../domain/policy.ts"
import { accountRef } from "../../domain/recorded.ts"
import type { Process } from "./process.ts"
import { limited, type World } from "./world.ts"

export const startAll = (world: World): void => {
  for (const process of [...world.gateways, world.settler, ...world.workers, world.schedulers[0]!]) process.start()
}

/** Ends by itself when the network has healed. */
export const disturb = (world: World): void => {
  const { clock, network, random } = world
  const next = () => clock.after(random.between(500, 8000), () => {
    if (!network.faulty) return
    random.pick(faults)(world)
    next()
  })
  next()
}

/** Everybody is there again, connected, and once; policies are as the file has them. */
export const heal = (world: World): void => {
  world.network.faulty = false
  for (const worker of world.workers) {
    worker.isCut = false
    if (worker.isDraining) worker.kill()
  }
  for (const scheduler of world.schedulers) scheduler.kill()
  startAll(world)
  // One never comes back, and nobody says so; others can do all that it could.
  if (world.random.chance(0.3)) world.workers[1]!.kill()
  setLimit(world, undefined)
}

const restart = (process: Process, world: World, longest: number) => {
  process.kill()
  later(world, 10, longest, () => process.start())
}

/** Unless there is peace by then. */
const later = ({ clock, network, random }: World, from: number, to: number, run: () => void) =>
  clock.after(random.between(from, to), () => {
    if (network.faulty) run()
  })

const faults: ReadonlyArray<(world: World) => void> = [
  (world) => world.schedulers.forEach((scheduler) => scheduler.isAlive && restart(scheduler, world, 3000)),
  // The lease has passed on, and who held it has not noticed yet.
  (world) => {
    const [working, standby] = [...world.schedulers].sort((one, other) => Number(other.isAlive) - Number(one.isAlive))
    standby!.start()
    later(world, 200, 10_000, () => working!.kill())
  },
  (world) => restart(world.random.pick(world.workers), world, 45_000),
  (world) => restart(world.random.pick(world.workers), world, 2000),
  (world) => {
    const worker = world.random.pick(world.workers)
    worker.drain()
    later(world, 5100, 15_000, () => worker.start())
  },
  (world) => {
    const worker = world.random.pick(world.workers)
    worker.say("is cut off")
    worker.isCut = true
    later(world, 1000, 60_000, () => worker.isCut = false)
  },
  (world) => restart(world.random.pick(world.gateways), world, 2000),
  (world) => restart(world.settler, world, 10_000),
  (world) => setLimit(world, world.random.between(0, 4))
]

const setLimit = ({ clock, log }: World, runningJobs: number | undefined): void => {
  const policy: Policy | undefined = runningJobs === undefined ? undefined : { runningJobs }
  const ref = accountRef(limited)
  log.append(ref, log.read(ref).length, {
    messageId: `policy-${clock.now}`, at: clock.now as never, actor: { kind: "operator", id: "somebody" },
    events: [policy === undefined ? { _tag: "PolicyCleared" } : { _tag: "PolicySet", policy }]
  })
}
