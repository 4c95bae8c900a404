import { StoredFilesInMemory } from "../../../infra/memory/stored-files.ts"
import { storedFilesContract } from "../stored-files.contract.ts"

storedFilesContract("in memory", StoredFilesInMemory)
