/** What tenants ask for, at random; they ask again until they have an answer. */
import type { ImageRequest, Priority, SealedComposeRequest } from "../../domain/compose-request.ts"
import type { ComposeId, TenantId } from "../../domain/ids.ts"
import { Process, type Task, until } from "./process.ts"
import type { Answer } from "./sim-gateway.ts"
import { limited, own, shared, weighty, type World } from "./world.ts"

const patienceMs = 10_000

export class Clients extends Process {
  /** What they were told is accepted. */
  readonly promised = new Map<ComposeId, TenantId>()

  protected begin(): void {}

  /** Single ones over the time, and once many at the same moment. */
  askFor(composes: number, overMs: number): void {
    const { random } = this.world
    for (let each = 0; each < composes; each++) {
      const tenantId = random.pick([shared, shared, weighty, limited, own])
      this.after(random.between(0, overMs), () => this.spawn(this.#compose(tenantId)))
    }
    const at = random.between(0, overMs)
    for (const tenantId of random.chance(0.5) ? [shared, weighty] : [random.pick([shared, weighty, own])]) {
      const many = random.between(0, 8)
      for (let each = 0; each < many; each++) this.after(at + each, () => this.spawn(this.#compose(tenantId)))
    }
  }

  *#compose(tenantId: TenantId): Task {
    const { random } = this.world
    const composeId = this.world.composeId()
    const request = this.#request()
    if (random.chance(0.08)) this.world.plans.set(composeId, random.pick(["resolve", "build", "test", "upload"]))
    const [cancels, retries] = [random.chance(0.12), random.chance(0.2)]
    let answer: Answer = "unavailable"
    // Some lose their patience: whether it was accepted they never learn.
    const most = random.between(1, 8)
    for (let tries = 0; tries < most && answer === "unavailable"; tries++) {
      answer = yield* this.#ask((gateway) => gateway.request(tenantId, composeId, request, tries > 0))
    }
    if (answer === "accepted") this.promised.set(composeId, tenantId)
    yield* this.sleep(random.between(0, 30_000))
    if (answer === "accepted" && cancels) yield* this.#ask((gateway) => gateway.cancel(tenantId, composeId))
    yield* this.sleep(random.between(0, 30_000))
    if (answer === "accepted" && retries) yield* this.#ask((gateway) => gateway.retry(tenantId, composeId))
  }

  *#ask(task: (gateway: World["gateways"][number]) => Task<Answer>): Task<Answer> {
    const gateway = this.world.random.pick(this.world.gateways)
    return yield* until<Answer>((resume) => {
      gateway.ask(() => task(gateway), resume)
      this.world.clock.after(patienceMs, () => resume("unavailable"))
    })
  }

  #request(): SealedComposeRequest {
    const { random } = this.world
    const image = (): ImageRequest => ({
      architecture: random.chance(0.2) ? "aarch64" : "x86_64", type: "simulated",
      ...(random.chance(0.5) && { targets: [{ type: "file" }, { type: "file" }] }),
      ...(random.chance(0.3) && { test: true })
    })
    const priority = random.pick<Priority | undefined>([undefined, undefined, "high", "low"])
    return { distribution: "test-1", images: random.chance(0.2) ? [image(), image()] : [image()], ...(priority !== undefined && { priority }) }
  }
}
