import { layer } from "@effect/vitest"
import { ParkedInMemory } from "../../../infra/memory/parked.ts"
import { parkedContract } from "../parked.contract.ts"

layer(ParkedInMemory, { excludeTestServices: true })("what is parked in memory", parkedContract)
