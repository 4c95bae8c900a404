import { Layer } from "effect"
import { StoredFilesJetStream } from "../../../infra/jetstream/stored-files.ts"
import { TestAccounts } from "../../support/nats-layers.ts"
import { TestNats } from "../../support/servers.ts"
import { storedFilesContract } from "../stored-files.contract.ts"

storedFilesContract("in JetStream", StoredFilesJetStream({ replicas: 1 }).pipe(Layer.provide(TestAccounts), Layer.provide(TestNats.layer)))
