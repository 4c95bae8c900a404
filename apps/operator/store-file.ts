import { Effect } from "effect"
import type { StoredFileView } from "../gateway/api/files-api.ts"
import { Kiln } from "./client.ts"

export const storeFile = (content: Uint8Array) =>
  Effect.flatMap(Kiln, (kiln) => kiln.json<StoredFileView>("/files", { method: "POST", body: content, headers: { "content-type": "application/octet-stream" } }))
