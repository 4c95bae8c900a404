import { layer } from "@effect/vitest"
import { Layer } from "effect"
import { EventLogJetStream } from "../../../infra/jetstream/event-log.ts"
import { ThreeNodes } from "../../support/nats-cluster.ts"
import { eventLogContract } from "../event-log.contract.ts"

const Stack = EventLogJetStream({ partitions: 1, replicas: 3 }).pipe(Layer.provideMerge(ThreeNodes.accounts))

layer(Stack, { excludeTestServices: true })("the log on three nodes", eventLogContract)
