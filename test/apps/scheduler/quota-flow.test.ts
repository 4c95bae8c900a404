/** Quotas through the real scheduler: what a compose has stored is settled when it has ended. */
import { assert, layer } from "@effect/vitest"
import { Effect, HashMap, Layer } from "effect"
import { v7 } from "uuid"
import { bytesOf, ReserveQuota } from "../../../domain/account.ts"
import { RequestCompose } from "../../../domain/compose-commands.ts"
import { ComposeId, Millis } from "../../../domain/ids.ts"
import { Accounts, AccountsLive } from "../../../apps/accounts.ts"
import { execute } from "../../../apps/execute.ts"
import { newTenant, SmallStack, startScheduler, startWorker, stateOf, until } from "../../support/small-stack.ts"

layer(Layer.provideMerge(AccountsLive, SmallStack), { excludeTestServices: true })("a quota", (it) => {
  it.effect("is settled to the size of the image, through scheduler and worker", () =>
    Effect.gen(function*() {
      const accounts = yield* Accounts
      const tenantId = newTenant()
      yield* startScheduler("quota")
      yield* startWorker()
      const composeId = ComposeId.make(v7())
      const at = Millis.make(Date.now())
      const intent = { tenantId, messageId: v7(), at, actor: { kind: "system", id: "test" } } as const
      yield* accounts.execute(intent, ReserveQuota.make({ now: at, standing: { storedBytes: 2 ** 40 }, composes: [{ composeId, bytes: 2 ** 30 }] }))
      yield* execute(intent, RequestCompose.make({
        composeId, builder: "simulated", resolves: false,
        request: { distribution: "test-distro-1", images: [{ architecture: "x86_64", type: "simulated" }] }
      }))
      const compose = yield* until(stateOf(tenantId, composeId), ({ status }) => status === "succeeded")
      const size = [...compose.outcomes.values()].reduce((total, outcome) => outcome._tag === "Uploaded" ? total + outcome.artifact.size : total, 0)
      assert.isAbove(size, 0)
      const account = yield* until(accounts.read(tenantId), ({ open }) => HashMap.isEmpty(open))
      assert.strictEqual(bytesOf(account), size)
    }).pipe(Effect.scoped))
})
