import { layer } from "@effect/vitest"
import { SchedulingInMemory } from "../../../infra/memory/scheduling.ts"
import { schedulingContract } from "../scheduling.contract.ts"

layer(SchedulingInMemory, { excludeTestServices: true })("asking the scheduler in memory", schedulingContract)
