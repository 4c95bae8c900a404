import { Effect, Layer } from "effect"
import { type Claimed, Idempotency } from "../../domain/ports/idempotency.ts"

export const IdempotencyInMemory = Layer.sync(Idempotency, () => {
  const claims = new Map<string, Claimed>()
  return Idempotency.of({
    claim: (tenantId, key, wanted) =>
      Effect.sync(() => {
        const name = `${tenantId}/${key}`
        const claimed = claims.get(name) ?? wanted
        claims.set(name, claimed)
        return claimed
      })
  })
})
