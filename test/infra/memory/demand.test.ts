import { layer } from "@effect/vitest"
import { DemandInMemory } from "../../../infra/memory/demand.ts"
import { demandContract } from "../demand.contract.ts"

layer(DemandInMemory, { excludeTestServices: true })("demand in memory", demandContract)
