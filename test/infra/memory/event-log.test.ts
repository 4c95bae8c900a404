import { layer } from "@effect/vitest"
import { EventLogInMemory } from "../../../infra/memory/event-log.ts"
import { eventLogContract } from "../event-log.contract.ts"

layer(EventLogInMemory, { excludeTestServices: true })("the log in memory", eventLogContract)
