/** What an entry of the log tells whoever follows: webhooks and live streams say the same. */
import { Effect } from "effect"
import { type ComposeFacts, withEvent } from "../domain/compose-facts.ts"
import type { FactsMemory } from "../domain/facts-memory.ts"
import { composeOccurrences, pipelineOccurrences, webhooksOccurrences } from "../domain/occurrences.ts"
import { EventLog } from "../domain/ports/event-log.ts"
import type { Recorded } from "../domain/recorded.ts"

/** Entries of a compose come in their order; `memory` spares reading the ones before. */
export const occurrencesIn = Effect.fnUntraced(function*(memory: FactsMemory, recorded: Recorded) {
  if (recorded.aggregate === "webhooks") return webhooksOccurrences(recorded)
  if (recorded.aggregate === "pipeline") return pipelineOccurrences(recorded)
  if (recorded.aggregate !== "compose") return []
  const facts = yield* factsAfter(memory, recorded)
  return facts === undefined ? [] : composeOccurrences(recorded, facts)
})

/** What is known of the compose once it is recorded, from the log where the memory does not have it. */
const factsAfter = Effect.fnUntraced(function*(memory: FactsMemory, recorded: Recorded<"compose">) {
  const followed = memory.follow(recorded)
  if (followed !== undefined) return followed
  const history = (yield* (yield* EventLog).read(recorded)).recorded.filter(({ revision }) => revision <= recorded.revision)
  const facts = history.flatMap(({ events }) => events).reduce(withEvent, undefined as ComposeFacts | undefined)
  memory.set(recorded.id, { facts, revision: recorded.revision })
  return facts
})
